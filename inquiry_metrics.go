package caddyoauth

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// askBreakers reads the breakers of introspection endpoints when it is asked.
type askBreakers struct{}

var askBreakerOpen = prometheus.NewDesc("caddy_oauth_introspection_breaker_open_seconds",
	"How long the issuer's introspection endpoint is still left alone after failures; absent while it is asked.", []string{"issuer"}, nil)

func (askBreakers) Describe(ch chan<- *prometheus.Desc) { ch <- askBreakerOpen }

func (askBreakers) Collect(ch chan<- prometheus.Metric) {
	longest := map[string]time.Duration{} // two settings of one issuer share a label
	for _, q := range inquiries.All() {
		if left := q.paused(time.Now()); left > 0 {
			longest[q.issuer] = max(longest[q.issuer], left)
		}
	}
	for issuer, left := range longest {
		ch <- prometheus.MustNewConstMetric(askBreakerOpen, prometheus.GaugeValue, left.Seconds(), issuer)
	}
}
