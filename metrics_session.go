package caddyoauth

import (
	"context"
	"errors"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// sessionCollectors are what is counted of grants.
type sessionCollectors struct {
	tokenRequests *prometheus.CounterVec
	renewals      *prometheus.CounterVec
	presentations *prometheus.CounterVec
	renewing      *prometheus.HistogramVec
	waiting       *prometheus.HistogramVec
	ended         *prometheus.CounterVec
	full          *prometheus.CounterVec
	storeErrors   *prometheus.CounterVec
}

func newSessionCollectors() *sessionCollectors {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	seconds := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: []float64{.005, .02, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, labels)
	}
	return &sessionCollectors{
		tokenRequests: counter("caddy_oauth_token_requests_total",
			"Requests to the gateway's own token, revocation and device authorization endpoints, by what was asked for and the result: granted, or the error.",
			"issuer", "grant_type", "result"),
		renewals: counter("caddy_oauth_renewals_total",
			"Refreshes of grants, by outcome: granted, untimely, not_sent, unconsumed, bad_client, refused or unknown.", "issuer", "outcome"),
		presentations: counter("caddy_oauth_presentations_total",
			"Refresh tokens presented to the issuer.", "issuer"),
		renewing: seconds("caddy_oauth_renewal_duration_seconds",
			"How long the issuer took to answer a refresh.", "issuer"),
		waiting: seconds("caddy_oauth_renewal_wait_seconds",
			"How long requests waited for a refresh, by result: served, no_grant, unavailable or left.", "issuer", "result"),
		ended: counter("caddy_oauth_grants_ended_total",
			"Grants that ended, by reason: logout, idle, max, refused, uncertain, subject, reuse, replaced, issuer or admin.", "reason"),
		full: counter("caddy_oauth_grants_refused_total",
			"Grants that did not begin, since their client or subject has too many live ones already.", "issuer", "limit"),
		storeErrors: counter("caddy_oauth_store_errors_total",
			"Calls of the store of grants that failed.", "operation"),
	}
}

func (c *sessionCollectors) all() []prometheus.Collector {
	return []prometheus.Collector{c.tokenRequests, c.renewals, c.presentations, c.renewing, c.waiting, c.ended, c.full, c.storeErrors, grantGauges{}}
}

var tokenResults = []string{
	granted, verdict.ClientGone, "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
	"unsupported_grant_type", "invalid_scope", "invalid_target", "authorization_pending", "slow_down",
	"access_denied", "expired_token", "server_error", "temporarily_unavailable",
}

func (c *sessionCollectors) tokenRequest(issuer, grant, result string) {
	if !slices.Contains(tokenResults, result) {
		result = "other" // an issuer may say what it likes
	}
	c.tokenRequests.WithLabelValues(issuer, grant, result).Inc()
}

func (c *sessionCollectors) session(e *session.Event) {
	switch e.Name {
	case session.EventRenewal:
		c.renewals.WithLabelValues(e.Issuer, e.Detail).Inc()
		c.renewing.WithLabelValues(e.Issuer).Observe(e.Took.Seconds())
		if e.Presented() {
			c.presentations.WithLabelValues(e.Issuer).Inc()
		}
	case session.EventWait:
		c.waiting.WithLabelValues(e.Issuer, e.Detail).Observe(e.Took.Seconds())
	case session.EventFull:
		c.full.WithLabelValues(e.Issuer, e.Detail).Inc()
	case session.EventEnd:
		c.ended.WithLabelValues(e.Detail).Inc()
	}
}

// grantGauges read the state of the vaults when they are asked.
type grantGauges struct{}

var (
	grantsDesc = prometheus.NewDesc("caddy_oauth_grants",
		"Grants in the store, as counted each minute: live, renewing, uncertain, or ended and not forgotten yet.", []string{"state"}, nil)
	breakerDesc = prometheus.NewDesc("caddy_oauth_breaker_open_seconds",
		"How long an issuer's token endpoint is left alone, for its failures; absent while it is not.", []string{"issuer"}, nil)
)

func (grantGauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- grantsDesc
	ch <- breakerDesc
}

func (grantGauges) Collect(ch chan<- prometheus.Metric) {
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
	for issuer, pause := range openBreakers() {
		ch <- prometheus.MustNewConstMetric(breakerDesc, prometheus.GaugeValue, pause.Seconds(), issuer)
	}
}

// counted is a store whose failures are counted. That a row is not there, or
// is another by now, is no failure.
type counted struct{ session.Store }

func (s counted) failed(operation string, err error) error {
	if err != nil && !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrExists) &&
		!errors.Is(err, session.ErrConflict) && !errors.Is(err, context.Canceled) {
		measure.storeErrors.WithLabelValues(operation).Inc()
	}
	return err
}

func (s counted) Load(ctx context.Context, key session.Key) (session.Row, error) {
	row, err := s.Store.Load(ctx, key)
	return row, s.failed("load", err)
}

func (s counted) Create(ctx context.Context, row session.Row) error {
	return s.failed("create", s.Store.Create(ctx, row))
}

func (s counted) CompareAndSwap(ctx context.Context, old session.Version, next session.Row) error {
	return s.failed("compare_and_swap", s.Store.CompareAndSwap(ctx, old, next))
}

func (s counted) Delete(ctx context.Context, key session.Key) error {
	return s.failed("delete", s.Store.Delete(ctx, key))
}

func (s counted) Each(ctx context.Context, visit func(session.Row) bool) error {
	return s.failed("each", s.Store.Each(ctx, visit))
}

// Confirmed, Wake, CatchUp and Exclusive pass on what the store may offer.
func (s counted) Confirmed(ctx context.Context, key session.Key) (session.Row, error) {
	confirmer, ok := s.Store.(session.Confirmer)
	if !ok {
		return s.Load(ctx, key)
	}
	row, err := confirmer.Confirmed(ctx, key)
	return row, s.failed("load", err)
}

func (s counted) Wake(changed func(session.Key)) (stop func()) {
	if waker, ok := s.Store.(session.Waker); ok {
		return waker.Wake(changed)
	}
	return func() {}
}

func (s counted) CatchUp(ctx context.Context) (line uint64, err error) {
	if store, ok := s.Store.(session.CatchUp); ok {
		return store.CatchUp(ctx)
	}
	return 0, errors.ErrUnsupported
}

func (s counted) Exclusive() bool {
	exclusive, ok := s.Store.(interface{ Exclusive() bool })
	return ok && exclusive.Exclusive()
}
