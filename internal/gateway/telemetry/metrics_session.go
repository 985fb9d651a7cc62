package telemetry

import (
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
			"Grants that ended, by reason: logout, idle, max, refused, uncertain, subject, reuse, replaced, issuer, admin or revoked.", "reason"),
		full: counter("caddy_oauth_grants_refused_total",
			"Grants that did not begin, since their client or subject has too many live ones already.", "issuer", "limit"),
		storeErrors: counter("caddy_oauth_store_errors_total",
			"Calls of the store of grants that failed.", "operation"),
	}
}

func (c *sessionCollectors) all() []prometheus.Collector {
	return []prometheus.Collector{c.tokenRequests, c.renewals, c.presentations, c.renewing, c.waiting, c.ended, c.full, c.storeErrors}
}

var tokenResults = []string{
	Granted, verdict.ClientGone, "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
	"unsupported_grant_type", "invalid_scope", "invalid_target", "authorization_pending", "slow_down",
	"access_denied", "expired_token", "server_error", "temporarily_unavailable",
}

func (c *sessionCollectors) TokenRequest(issuer, grant, result string) {
	if !slices.Contains(tokenResults, result) {
		result = "other" // an issuer may say what it likes
	}
	c.tokenRequests.WithLabelValues(issuer, grant, result).Inc()
}

func (c *sessionCollectors) Session(e *session.Event) {
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

// StoreFailed counts a call of the store of grants that failed.
func (c *sessionCollectors) StoreFailed(operation string) {
	c.storeErrors.WithLabelValues(operation).Inc()
}
