package telemetry

import "github.com/prometheus/client_golang/prometheus"

// streamCollectors are about exchanges that stay open.
type streamCollectors struct {
	open    *prometheus.GaugeVec
	cut     *prometheus.CounterVec
	renewed *prometheus.CounterVec
}

// What came of telling an upstream of a renewal.
const (
	RenewalTold    = "ok"
	RenewalRefused = "refused" // it answered so
	RenewalUntold  = "failed"  // it did not answer
)

func newStreamCollectors() *streamCollectors {
	return &streamCollectors{
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "caddy_oauth_streams",
			Help: "Admitted requests that have been open for longer than a moment, by kind: websocket, grpc, upgrade or http.",
		}, []string{"kind"}),
		cut: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "caddy_oauth_streams_ended_total",
			Help: "Open requests that were ended since what let them in counted no more, by kind and reason: that of a refusal, or of a grant's end.",
		}, []string{"kind", "reason"}),
		renewed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "caddy_oauth_streams_renewals_total",
			Help: "Renewals of the access token of an open request that the upstream was to be told of, by outcome: ok, refused or failed.",
		}, []string{"outcome"}),
	}
}

func (c *streamCollectors) all() []prometheus.Collector {
	return []prometheus.Collector{c.open, c.cut, c.renewed}
}

// StreamOpen counts requests that stay open, up or down.
func (c *streamCollectors) StreamOpen(kind string, n float64) { c.open.WithLabelValues(kind).Add(n) }

// StreamEnded counts one that was ended.
func (c *streamCollectors) StreamEnded(kind, reason string) {
	c.cut.WithLabelValues(kind, reason).Inc()
}

// StreamRenewed counts a renewal that the upstream was to be told of.
func (c *streamCollectors) StreamRenewed(outcome string) { c.renewed.WithLabelValues(outcome).Inc() }
