package telemetry

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyoauth/caddyoauth/internal/revoked"
)

// revocationCollectors are what is counted of what is taken back.
type revocationCollectors struct{ revocations *prometheus.CounterVec }

func newRevocationCollectors() *revocationCollectors {
	return &revocationCollectors{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_oauth_revocations_total",
		Help: "What was taken back, by who did (operator, backchannel, event or endpoint) and the result: stored, unstored (it counts on this node, and is stored once the store answers), full or invalid.",
	}, []string{"source", "result"})}
}

func (c *revocationCollectors) all() []prometheus.Collector {
	return []prometheus.Collector{c.revocations}
}

// Revocation counts what was taken back, and what became of it.
func (c *revocationCollectors) Revocation(source string, err error) {
	result := "invalid"
	if err == nil {
		result = "stored"
	} else if _, full := errors.AsType[*revoked.Full](err); full {
		result = "full"
	} else if _, un := errors.AsType[*revoked.Unstored](err); un {
		result = "unstored"
	}
	c.revocations.WithLabelValues(source, result).Inc()
}
