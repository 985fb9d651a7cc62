package issuers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// KeyAgeGauge is a collector that reads the age of each issuer's keys when it is
// asked.
type KeyAgeGauge struct{}

var keyAge = prometheus.NewDesc("caddy_oauth_keys_age_seconds",
	"Time since the keys in force were fetched from the issuer; absent while there are none.", []string{"issuer"}, nil)

// Describe is that of a prometheus.Collector.
func (KeyAgeGauge) Describe(ch chan<- *prometheus.Desc) { ch <- keyAge }

// Collect is that of a prometheus.Collector.
func (KeyAgeGauge) Collect(ch chan<- prometheus.Metric) {
	oldest := map[string]time.Duration{} // two settings of one issuer share a label
	for _, auth := range authorities.All() {
		if auth.Server == nil {
			continue
		}
		if status := auth.Server.Status(); !status.Fetched.IsZero() {
			oldest[auth.issuer] = max(oldest[auth.issuer], time.Since(status.Fetched))
		}
	}
	for issuer, age := range oldest {
		ch <- prometheus.MustNewConstMetric(keyAge, prometheus.GaugeValue, age.Seconds(), issuer)
	}
}
