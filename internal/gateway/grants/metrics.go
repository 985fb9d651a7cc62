package grants

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// Gauges read the state of the vaults when they are asked.
type Gauges struct{}

var (
	grantsDesc = prometheus.NewDesc("caddy_oauth_grants",
		"Grants in the store, as counted each minute: live, renewing, uncertain, or ended and not forgotten yet.", []string{"state"}, nil)
	breakerDesc = prometheus.NewDesc("caddy_oauth_breaker_open_seconds",
		"How long an issuer's token endpoint is left alone, for its failures; absent while it is not.", []string{"issuer"}, nil)
)

// Describe is of prometheus.Collector.
func (Gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- grantsDesc
	ch <- breakerDesc
}

// Collect reads the state of the stores that are open.
func (Gauges) Collect(ch chan<- prometheus.Metric) {
	var sum session.Counts
	for _, v := range vaults.All() {
		if n := v.counts.Load(); n != nil {
			sum.Live += n.Live
			sum.Renewing += n.Renewing
			sum.Uncertain += n.Uncertain
			sum.Dead += n.Dead
		}
	}
	for state, n := range map[string]int{"live": sum.Live, "renewing": sum.Renewing, "uncertain": sum.Uncertain, "ended": sum.Dead} {
		ch <- prometheus.MustNewConstMetric(grantsDesc, prometheus.GaugeValue, float64(n), state)
	}
	for issuer, pause := range OpenBreakers() {
		ch <- prometheus.MustNewConstMetric(breakerDesc, prometheus.GaugeValue, pause.Seconds(), issuer)
	}
}
