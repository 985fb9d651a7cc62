// Package caddyoauth is an OAuth 2.0 gateway for APIs: a Caddy module that
// proves the Bearer access token of each request before the request reaches
// the upstream (RFC 6750, 9068, 8725).
//
// Three lines protect an API:
//
//	api.example.com {
//		oauth https://login.example.com api://orders
//		reverse_proxy orders:8080
//	}
//
// The issuer's metadata and keys are fetched in the background; no request
// waits for the network once there are keys. A token that does not pass gets
// the exact challenge of RFC 6750 §3; an outage of the issuer is 503 and never
// a refusal.
package caddyoauth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/advice"
	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/identity"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/limits"
	"github.com/caddyoauth/caddyoauth/internal/gateway/login"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/gateway/proxies"
	"github.com/caddyoauth/caddyoauth/internal/gateway/revocation"
	"github.com/caddyoauth/caddyoauth/internal/gateway/streams"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/gateway/tokenendpoint"
	"github.com/caddyoauth/caddyoauth/internal/gateway/userinfo"
	"github.com/caddyoauth/caddyoauth/internal/resource"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/tunnel"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

func init() {
	caddy.RegisterModule(new(Gateway))
}

// Gateway lets requests with a valid access token through and refuses all
// others.
//
// It sets these placeholders:
//
// Placeholder | Description
// ------------|------------
// `{http.auth.user.id}` | The token's subject (`sub`)
// `{http.auth.user.<claim>}` | A claim by name or dotted path, with its JSON type
// `{http.auth.oauth.reason}` | Why the request was refused, as a stable code; for `handle_errors`
type Gateway struct {
	config.Config

	validator   *Validator
	keeper      *grants.Keeper          // nil: no grants are kept here
	limits      *limits.Limiter         // of the issuer that new grants are asked of
	site        *login.Site             // nil: no browser logs in here
	endpoint    *tokenendpoint.Endpoint // nil: clients get no tokens here
	revocations *revocation.Endpoint
	identity    *identity.Headers
	streams     *streams.Room
	tunnels     tunnel.Protocols
	places      *credential.Places
	realm       string
	metadata    *resource.Metadata // nil: there is no resource
	rules       policy.Rules
	log         *zap.Logger
	audit       *telemetry.Audit // nil: off
	acquired    []func()         // what Cleanup releases
	attached    attached         // to receivers of security events, since the configuration is in force
}

// CaddyModule names the module.
func (*Gateway) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.oauth",
		New: func() caddy.Module { return new(Gateway) },
	}
}

// Provision prepares the gateway. Nothing is dialled and no storage is read:
// "caddy validate" provisions too. That begins with Caddy's "started" event,
// or with the first request.
func (g *Gateway) Provision(ctx caddy.Context) error {
	g.log = ctx.Logger()
	if err := g.Check(); err != nil {
		return err
	}
	var err error
	repl := caddy.NewReplacer()
	if g.realm, err = grammar.Resolve(repl, "realm", g.Realm); err != nil {
		return err
	}
	if err = verdict.CheckRealm(g.realm); err != nil {
		return err
	}
	if g.places, err = credential.New(g.Credentials, g.Login.CookieName(), g.KeepsGrants()); err != nil {
		return err
	}
	if g.identity, err = identity.New(g.CopyClaims, g.ListClaims, g.places.Headers()...); err != nil {
		return err
	}
	if g.Streams != nil && g.Streams.OnRenewal != "" {
		if err := g.identity.Own(streams.IDHeader); err != nil {
			return err
		}
	}
	g.tunnels = g.InsecureUpgrades
	if err := g.provisionRules(ctx, repl); err != nil {
		return err
	}
	if err := telemetry.Metrics.Register(ctx.GetMetricsRegistry(), stateMetrics...); err != nil {
		return err
	}
	if err := g.TokenEndpoint.Provision(repl); err != nil {
		return err
	}
	if err := g.Revocation.Provision(repl); err != nil {
		return err
	}
	if err := g.Login.Provision(repl, g.ResourceInAud(), g.Issuer[0]); err != nil {
		return err
	}
	if err := g.ForwardAuth.Provision(ctx, repl, g); err != nil {
		return err
	}
	if err := g.provisionIssuers(ctx, repl); err != nil {
		return err
	}
	g.metadata = g.describe()
	if g.CountsByAddress() {
		proxies.Warn(ctx, g.log)
	}
	if g.Audit {
		g.audit = telemetry.NewAudit(g.log)
	}
	if err := g.provisionGrants(ctx); err != nil {
		return err
	}
	g.streams = g.newStreams()
	g.acquired = append(g.acquired, g.streams.Close)
	return nil
}

func (g *Gateway) provisionRules(ctx caddy.Context, repl *caddy.Replacer) error {
	blocks := [][]*policy.Requirement{g.Require}
	for _, issuer := range g.Issuer {
		blocks = append(blocks, issuer.Require)
	}
	return g.rules.Provision(ctx, repl, blocks...)
}

func (g *Gateway) newEndpoint() *tokenendpoint.Endpoint {
	if g.TokenEndpoint == nil {
		return nil
	}
	return &tokenendpoint.Endpoint{
		Block: g.TokenEndpoint, Trust: g.validator.First(), Keeper: g.keeper, Limits: g.limits,
		Log: g.log, Audit: g.audit, Realm: g.realm, Resource: g.ResourceInAud(),
		Prove: func(ctx context.Context, raw string, r *http.Request, issuer string) (*token.Principal, error) {
			return g.validator.judge(ctx, raw, r, grants.Source{Issuer: issuer, Behind: issuers.Behind{Began: g.validator.Now()}})
		},
		Lacks: func(p *token.Principal) []string {
			return policy.LackedScope(g.validator.Of(p).Require, p, g.validator.Now())
		},
		Advise: g.adviceFor,
	}
}

func (g *Gateway) newSite() *login.Site {
	if g.Login == nil {
		return nil
	}
	var asker *userinfo.Asker
	if g.Login.AsksUserInfo() {
		var release func()
		asker, release = userinfo.Acquire(g.validator.First())
		g.acquired = append(g.acquired, release)
	}
	return &login.Site{
		Block: g.Login, Trust: g.validator.First(), Keeper: g.keeper, Limits: g.limits,
		Log: g.log, Audit: g.audit, Now: func() time.Time { return g.validator.Now() },
		Prove: g.prove, Advise: g.adviceFor, Asker: asker,
	}
}

// adviceFor is what an operator is told to change when a token is refused that an
// issuer has just granted.
func (g *Gateway) adviceFor(raw, reason string) string {
	return advice.OnGranted(g.validator.Set, g.ResourceInAud(), reason, raw)
}

func (g *Gateway) provisionIssuers(ctx caddy.Context, repl *caddy.Replacer) error {
	set, release, err := issuers.Open(ctx, repl, g.Issuer, issuers.Options{
		Resource: g.ResourceInAud(), Require: g.Require, Capacity: g.Capacity(), Log: g.log,
	})
	g.acquired = append(g.acquired, release...)
	if err != nil {
		return err
	}
	g.validator = &Validator{set}
	app, err := ctx.App("events")
	if err != nil {
		return fmt.Errorf("getting the events app: %w", err)
	}
	return app.(*caddyevents.App).On("started", onEvent(g.start))
}

// provisionGrants prepares to keep grants, and to serve those who bring them, if
// the configuration needs that.
func (g *Gateway) provisionGrants(ctx caddy.Context) error {
	if !g.KeepsGrants() {
		g.listRevoked()
		return nil
	}
	s := g.Session
	if s == nil {
		s = new(grants.Session)
	}
	keeper, leave, err := grants.NewKeeper(ctx, s, g.validator.Set, g.log, g.audit)
	if err != nil {
		return err
	}
	limits, release := limits.Acquire(g.validator.First().Reach)
	g.keeper, g.limits = keeper, limits
	g.acquired = append(g.acquired, leave, release)
	g.listRevoked()
	g.endpoint, g.site = g.newEndpoint(), g.newSite()
	return nil
}

// JudgesBy answers what tokens are judged by, so that a verdict can be explained:
// the configuration, its issuers, and what the upstream gets.
func (g *Gateway) JudgesBy() (*config.Config, *issuers.Set, *identity.Headers) {
	return &g.Config, g.validator.Set, g.identity
}

// start begins what may take time: fetching keys, and opening the store.
func (g *Gateway) start() {
	g.attachSignals()
	g.validator.Start()
	if g.keeper != nil {
		go g.keeper.Start()
	}
}

// Cleanup releases what Provision acquired, also when it came half way.
func (g *Gateway) Cleanup() error {
	g.attached.end()
	for _, release := range g.acquired {
		release()
	}
	g.acquired = nil
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Gateway)(nil)
	_ caddy.CleanerUpper          = (*Gateway)(nil)
	_ caddyhttp.MiddlewareHandler = (*Gateway)(nil)
)
