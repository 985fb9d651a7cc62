// Package telemetry is what an operator sees of what happens: counters, spans,
// Caddy's events, the audit stream, and fields of log lines. It knows no
// feature: those that have state to show bring collectors of their own.
package telemetry

import (
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Metrics holds the collectors: made once per process and registered with the
// registry of each configuration, so that a reload resets nothing.
var Metrics = newCollectors()

// Collectors are the counters and histograms of a process.
type Collectors struct {
	verdicts  *prometheus.CounterVec
	lookups   *prometheus.CounterVec
	verifying *prometheus.HistogramVec
	fetches   *prometheus.CounterVec
	statuses  *prometheus.CounterVec
	Anonymous prometheus.Counter
	*sessionCollectors
	*loginCollectors
	*askCollectors
	*revocationCollectors
	*streamCollectors
	*signalCollectors
}

// IssuerMetrics are those that the hot path uses, found once.
type IssuerMetrics struct {
	Accepted, Hits, Misses, inactive prometheus.Counter
	Verifying                        prometheus.Observer
}

// Recalled counts what was remembered of a token: facts, or that its issuer
// refuses it.
func (m *IssuerMetrics) Recalled(refused bool) {
	if refused {
		m.inactive.Inc()
		return
	}
	m.Hits.Inc()
}

func newCollectors() *Collectors {
	c := &Collectors{
		sessionCollectors:    newSessionCollectors(),
		loginCollectors:      newLoginCollectors(),
		askCollectors:        newAskCollectors(),
		revocationCollectors: newRevocationCollectors(),
		streamCollectors:     newStreamCollectors(),
		signalCollectors:     newSignalCollectors(),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "caddy_oauth_verdicts_total",
			Help: "Requests judged, by the issuer of their token and the reason: accepted, anonymous, or why refused.",
		}, []string{"issuer", "reason"}),
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "caddy_oauth_cache_lookups_total",
			Help: "Tokens of an issuer that were remembered (hit; inactive: as refused by it) or had to be verified (miss).",
		}, []string{"issuer", "result"}),
		verifying: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "caddy_oauth_verification_duration_seconds",
			Help:    "How long it took to verify a token that was not remembered, waiting for keys included.",
			Buckets: []float64{2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 5e-2, .5, 5},
		}, []string{"issuer"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "caddy_oauth_key_fetches_total",
			Help: "Fetches of an issuer's keys, by outcome: ok or error.",
		}, []string{"issuer", "outcome"}),
	}
	c.statuses = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_oauth_status_list_fetches_total",
		Help: "Fetches of an issuer's status lists, by outcome: ok or error.",
	}, []string{"issuer", "outcome"})
	c.Anonymous = c.Verdict("", verdict.Anonymous)
	return c
}

// Verdict counts requests judged, by issuer and reason.
func (c *Collectors) Verdict(issuer, reason string) prometheus.Counter {
	return c.verdicts.WithLabelValues(issuer, reason)
}

// ForIssuer finds the collectors of one issuer, once.
func (c *Collectors) ForIssuer(issuer string) IssuerMetrics {
	return IssuerMetrics{
		Accepted:  c.Verdict(issuer, verdict.Accepted),
		Hits:      c.lookups.WithLabelValues(issuer, "hit"),
		Misses:    c.lookups.WithLabelValues(issuer, "miss"),
		inactive:  c.lookups.WithLabelValues(issuer, "inactive"),
		Verifying: c.verifying.WithLabelValues(issuer),
	}
}

// Register adds the collectors to a configuration's registry, and those that
// read the state of other rooms when they are asked. Every gateway of the
// configuration does; the first one counts.
func (c *Collectors) Register(registry *prometheus.Registry, readers ...prometheus.Collector) error {
	for _, collector := range slices.Concat(c.All(), readers) {
		err := registry.Register(collector)
		if _, already := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !already {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}

// All are the collectors, for the registry.
func (c *Collectors) All() []prometheus.Collector {
	own := []prometheus.Collector{c.verdicts, c.lookups, c.verifying, c.fetches, c.statuses}
	return slices.Concat(own, c.sessionCollectors.all(), c.loginCollectors.all(), c.askCollectors.all(), c.revocationCollectors.all(), c.streamCollectors.all(), c.signalCollectors.all())
}

// Fetched counts a fetch of an issuer's keys.
func (c *Collectors) Fetched(issuer string, event as.Event) {
	c.fetches.WithLabelValues(issuer, outcomeOf(event.Err)).Inc()
}

// FetchedStatuses counts a fetch of a list of statuses.
func (c *Collectors) FetchedStatuses(issuer string, err error) {
	c.statuses.WithLabelValues(issuer, outcomeOf(err)).Inc()
}

func outcomeOf(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}
