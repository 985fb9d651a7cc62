package signals

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Gauges is a collector that reads how long transmitters have been silent, when it is
// asked.
type Gauges struct{}

var (
	silentDesc = prometheus.NewDesc("caddy_oauth_signals_silent",
		"1 while the transmitter of the issuer's events is silent: three verifications did not come. Else 0.", []string{"issuer"}, nil)
	ageDesc = prometheus.NewDesc("caddy_oauth_signals_age_seconds",
		"How long ago the transmitter of the issuer's events was heard of.", []string{"issuer"}, nil)
)

// Describe is that of a prometheus.Collector.
func (Gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- silentDesc
	ch <- ageDesc
}

// Collect is that of a prometheus.Collector.
func (Gauges) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	age, silent := map[string]time.Duration{}, map[string]float64{} // two settings of one issuer share a label
	for _, r := range receivers.All() {
		age[r.issuer] = max(age[r.issuer], now.Sub(r.since()))
		if silent[r.issuer] += 0; r.silent(now) {
			silent[r.issuer] = 1
		}
	}
	for issuer := range age {
		ch <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, age[issuer].Seconds(), issuer)
		ch <- prometheus.MustNewConstMetric(silentDesc, prometheus.GaugeValue, silent[issuer], issuer)
	}
}
