package caddyoauth

import (
	"context"
	"net/http"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/revocation"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// listRevoked takes up the list of what was taken back: that of the store of
// grants, or one of this process.
func (g *Gateway) listRevoked() {
	how := revocation.SiteOptions{Names: g.validator.NamesOf(), Log: g.log, Identity: revocation.Nowhere}
	if k := g.keeper; k != nil {
		how.Identity, how.Open = k.Identity(), func(ctx context.Context) error { _, err := k.Open(ctx); return err }
	}
	list, release := revocation.Open(g.Revocation, how)
	g.validator.Revoked = list
	g.revocations = &revocation.Endpoint{
		Block: g.Revocation, Issuer: g.validator.First().Profile.Issuer, Named: list.NameOf, Log: g.log,
		Prove: func(ctx context.Context, raw string, r *http.Request) (*token.Principal, error) {
			return g.validator.judge(ctx, raw, r, grants.Source{})
		},
		TakeBack: g.takeBack, Assertion: g.assertion, Now: func() time.Time { return g.validator.Now() },
	}
	if g.keeper != nil {
		g.revocations.Memory = eventMemory{g.keeper}
	}
	g.acquired = append(g.acquired, release)
}

// assertion is what a JWT must be that an issuer shows where it takes back.
func (g *Gateway) assertion(issuer string) *token.Assertion {
	t := g.validator.Named(issuer)
	if t == nil {
		return nil
	}
	p := &t.Profile
	return &token.Assertion{Issuer: issuer, Algorithms: p.Algorithms, Skew: p.Skew, Keys: p.Keys}
}

// takeBack takes something back on all nodes, and counts the grants that it ended.
func (g *Gateway) takeBack(ctx context.Context, e revoked.Entry) (ended int, err error) {
	if g.keeper != nil {
		return g.keeper.TakeBack(ctx, e)
	}
	return 0, g.validator.Revoked.Add(ctx, e)
}
