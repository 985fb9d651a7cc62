package caddyoauth

import (
	"context"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/identity"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/revocation"
	"github.com/caddyoauth/caddyoauth/internal/gateway/signals"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// stateMetrics read the state of issuers, introspection and grants when they
// are asked.
var stateMetrics = []prometheus.Collector{issuers.KeyAgeGauge{}, introspection.BreakerGauge{}, grants.Gauges{}, revocation.Gauges{}, signals.Gauges{}}

// refused notes a request that does not pass.
func (g *Gateway) refused(r *http.Request, err error, status int, reason, issuer string) {
	telemetry.TraceVerdict(r.Context(), reason, issuer)
	if g.audit == nil {
		return
	}
	// One of another gateway around this one is not who is refused here.
	p, _ := caddyhttp.GetVar(r.Context(), identity.PrincipalVar).(*token.Principal)
	if p != nil && !g.validator.Proved(p) {
		p = nil
	}
	g.audit.Refused(r, p, err, status, reason, issuer)
}

// admitted notes a request that passes: in its span, and in the audit log.
func (g *Gateway) admitted(r *http.Request, p *token.Principal) {
	reason, issuer := verdict.Anonymous, ""
	if p != nil {
		reason, issuer = verdict.Accepted, p.Issuer
	}
	telemetry.TraceVerdict(r.Context(), reason, issuer)
	g.audit.Admitted(r, p)
}

// onEvent makes a function a handler of Caddy's events.
type onEvent func()

// Handle calls the function.
func (f onEvent) Handle(context.Context, caddy.Event) error {
	f()
	return nil
}

var _ caddyevents.Handler = onEvent(nil)
