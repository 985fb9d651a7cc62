package telemetry

import "github.com/prometheus/client_golang/prometheus"

// askCollectors are about introspection.
type askCollectors struct {
	introspections *prometheus.CounterVec
	asking         *prometheus.HistogramVec
}

// AskMetrics are those of one issuer, found once.
type AskMetrics struct {
	Active, Inactive, Failed, Limited, Paused prometheus.Counter
	Duration                                  prometheus.Observer
}

func newAskCollectors() *askCollectors {
	return &askCollectors{
		introspections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "caddy_oauth_introspections_total",
			Help: "Introspections that were needed, by outcome: active, inactive or error were asked, limited or breaker_open were not.",
		}, []string{"issuer", "outcome"}),
		asking: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "caddy_oauth_introspection_duration_seconds",
			Help:    "How long the issuer took to answer an introspection.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"issuer"}),
	}
}

func (c *askCollectors) all() []prometheus.Collector {
	return []prometheus.Collector{c.introspections, c.asking}
}

func (c *askCollectors) ForIntrospection(issuer string) AskMetrics {
	outcome := func(name string) prometheus.Counter { return c.introspections.WithLabelValues(issuer, name) }
	return AskMetrics{
		Active: outcome("active"), Inactive: outcome("inactive"), Failed: outcome("error"),
		Limited: outcome("limited"), Paused: outcome("breaker_open"),
		Duration: c.asking.WithLabelValues(issuer),
	}
}
