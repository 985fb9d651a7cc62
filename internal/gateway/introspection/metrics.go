package introspection

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// BreakerGauge is a collector that reads the breakers of introspection endpoints
// when it is asked.
type BreakerGauge struct{}

var breakerOpen = prometheus.NewDesc("caddy_oauth_introspection_breaker_open_seconds",
	"How long the issuer's introspection endpoint is still left alone after failures; absent while it is asked.", []string{"issuer"}, nil)

// Describe is that of a prometheus.Collector.
func (BreakerGauge) Describe(ch chan<- *prometheus.Desc) { ch <- breakerOpen }

// Collect is that of a prometheus.Collector.
func (BreakerGauge) Collect(ch chan<- prometheus.Metric) {
	longest := map[string]time.Duration{} // two settings of one issuer share a label
	for _, q := range All() {
		if left := q.Paused(time.Now()); left > 0 {
			longest[q.issuer] = max(longest[q.issuer], left)
		}
	}
	for issuer, left := range longest {
		ch <- prometheus.MustNewConstMetric(breakerOpen, prometheus.GaugeValue, left.Seconds(), issuer)
	}
}
