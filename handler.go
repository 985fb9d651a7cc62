package caddyoauth

import (
	"context"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/login"
	"github.com/caddyoauth/caddyoauth/internal/gateway/streams"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/gateway/upstream"
	"github.com/caddyoauth/caddyoauth/internal/lenient"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// ServeHTTP is one request's way through the gateway: nothing reaches next
// unless it was admitted, and whatever was not leaves through refuse.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	browser := upstream.FromBrowser(r.Header) // before any is taken off
	lenient.DropCookies(r.Header, g.places.UnreadCookie)
	stray := g.places.HasStrayToken(r)
	if serve := g.ownPath(r); serve != nil && !stray {
		if g.early(r) {
			// This may be a replay: a token endpoint that acts twice spends a code
			// or a refresh token twice, and that ends the grant.
			serve = g.refusing(func(*http.Request) error { return rejectEarly() })
		}
		return serve(w, r)
	}
	if g.ForwardAuth != nil {
		return g.judge(w, r)
	}
	if stray || g.places.Exposes(r) {
		return g.serveQuietly(w, r, next, stray)
	}
	let, err := g.admit(w, r)
	if err != nil {
		return g.refuse(w, r, err)
	}
	return g.forward(w, r, next, let, browser)
}

// admit lets a request pass, with the identity it proved, and answers by what and,
// unless it is anonymous, as whom; or it says why not: a [*verdict.Rejection] for the
// sender's faults, any other error for failures.
func (g *Gateway) admit(w http.ResponseWriter, r *http.Request) (let streams.Admitted, err error) {
	if err := g.clean(r); err != nil {
		return let, err
	}
	if r.Method == http.MethodConnect { // for a WebSocket: the upstream will see GET (RFC 8441 §5)
		r.Method = http.MethodGet
		defer func() { r.Method = http.MethodConnect }()
	}
	let.Found, err = g.places.Find(r)
	if err == nil {
		let.Found, err = g.site.Find(r, let.Found)
	}
	if err != nil {
		return let, err
	}
	principal, found, err := g.keeper.Prove(r, let.Found, g.prove)
	let.Found = found
	if err != nil {
		return let, login.Again(found, err)
	}
	if principal == nil {
		g.site.Forget(w, found)
		return let, g.admitAnonymous(r, found)
	}
	issuer := g.validator.Of(principal)
	principal.Withdraw(found.Lost)
	g.identity.Introduce(r, principal)
	if let.Needs, err = g.rules.Allow(r, principal, issuer.Require, g.validator.Now(), g.log); err != nil {
		return let, login.Again(found, err)
	}
	if err := g.identity.Headers(r.Header, principal); err != nil {
		return let, err
	}
	g.prepareForUpstream(r, found)
	issuer.Metrics.Accepted.Inc()
	g.admitted(r, principal)
	let.As = principal
	return let, nil
}

// prove proves who a token, or a session with it, speaks for. That of a log-in gets
// what else is known of its user.
func (g *Gateway) prove(ctx context.Context, raw string, r *http.Request, from grants.Source) (*token.Principal, error) {
	principal, err := g.identify(ctx, raw, r, from)
	if err == nil {
		err = g.site.Complete(ctx, principal, raw, from)
	}
	return principal, err
}

// admitAnonymous judges a request with no credential at all.
func (g *Gateway) admitAnonymous(r *http.Request, none credential.Presented) error {
	if !g.AllowAnonymous {
		return &verdict.Rejection{Status: http.StatusUnauthorized, Reason: verdict.NoCredential, LogIn: true}
	}
	g.identity.Introduce(r, nil) // before allow: its matchers may ask for placeholders
	if _, err := g.rules.Allow(r, nil, nil, g.validator.Now(), g.log); err != nil {
		return err
	}
	g.prepareForUpstream(r, none)
	telemetry.Metrics.Anonymous.Inc()
	g.admitted(r, nil)
	return nil
}

// prepareForUpstream leaves the request as the upstream may see it.
func (g *Gateway) prepareForUpstream(r *http.Request, found credential.Presented) {
	found.Token = g.site.ForUpstream(found)
	found.PrepareForUpstream(r, g.places, g.StripToken || found.Token == "")
	g.site.Strip(r.Header)
}
