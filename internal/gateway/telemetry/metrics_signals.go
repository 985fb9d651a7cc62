package telemetry

import "github.com/prometheus/client_golang/prometheus"

// signalCollectors are what is counted of events that transmitters send.
type signalCollectors struct{ signals *prometheus.CounterVec }

func newSignalCollectors() *signalCollectors {
	return &signalCollectors{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_oauth_signals_total",
		Help: "Security events of transmitters, by type and outcome: revoked, renewed, noted, unmatched, again, refused or failed.",
	}, []string{"issuer", "event", "outcome"})}
}

func (c *signalCollectors) all() []prometheus.Collector { return []prometheus.Collector{c.signals} }

// Signal counts an event about an issuer. event is one of a known set.
func (c *Collectors) Signal(issuer, event, outcome string) {
	c.signals.WithLabelValues(issuer, event, outcome).Inc()
}
