package caddyoauth

import (
	"context"
	"net/http"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Validator turns a presented token into a [Principal].
type Validator struct{ *issuers.Set }

// sender is where a token comes from.
type sender struct {
	grants.Source
	request *http.Request // whose address counts; nil: none does
}

func (s sender) address() string {
	if s.request == nil {
		return ""
	}
	return telemetry.ClientAddress(s.request)
}

// Validate proves one token. An error is a [*verdict.Rejection], which is the sender's
// affair, or a failure of ours or of the issuer.
func (v *Validator) Validate(ctx context.Context, raw string) (*token.Principal, error) {
	return v.validate(ctx, raw, sender{})
}

func (v *Validator) validate(ctx context.Context, raw string, from sender) (*token.Principal, error) {
	p, err := v.proven(ctx, raw, from)
	if err != nil {
		return nil, err
	}
	return v.untaken(ctx, p, &from.Source)
}

// untaken is a principal of which nothing was taken back.
func (v *Validator) untaken(ctx context.Context, p *token.Principal, from *grants.Source) (*token.Principal, error) {
	err := v.CheckRevoked(ctx, p, &from.Behind)
	if err == nil {
		err = v.CheckSignals(ctx, p, from.Behind.Began)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// identify proves who a token speaks for, or a session: some stand for a user, and
// their access token is none of our business.
func (g *Gateway) identify(ctx context.Context, raw string, r *http.Request, from grants.Source) (*token.Principal, error) {
	user, err := g.site.User(from)
	switch {
	case err != nil:
		return nil, err
	case user != nil:
		return g.validator.untaken(ctx, user, &from)
	}
	return g.validator.judge(ctx, raw, r, from)
}

// proven is validate for what was not taken back.
func (v *Validator) proven(ctx context.Context, raw string, from sender) (*token.Principal, error) {
	if len(raw) > token.MaxSize {
		_, err := token.Parse(raw)
		return nil, verdict.OfToken(err, "")
	}
	now := v.Now()
	key := token.DigestOf(raw)
	if v.AsksAboutOpaque() && token.IsOpaque(raw) {
		return v.introspect(ctx, raw, key, from)
	}
	for _, t := range v.All() {
		facts, answer := t.Recall(key, now)
		if facts == nil {
			continue
		}
		switch ok, err := t.ProfileFor(from.LogIn).Judge(facts, now); {
		case err != nil:
			return nil, verdict.OfToken(err, t.Profile.Issuer)
		case ok:
			t.Metrics.Hits.Inc()
			if err := t.Standing(ctx, facts); err != nil {
				return nil, err
			}
			return t.Profile.Principal(t, facts, raw, nil).Completed(answer), nil
		}
	}
	return v.verify(ctx, raw, key, now, from)
}

// judge proves a token that a request brings, or that stands behind what it
// brings.
func (v *Validator) judge(ctx context.Context, raw string, r *http.Request, from grants.Source) (*token.Principal, error) {
	return v.validate(ctx, raw, sender{from, r})
}

// verify proves a token that nothing is remembered of. Only verified tokens
// are remembered: errors are not, and strangers cannot fill the cache.
func (v *Validator) verify(ctx context.Context, raw string, key token.Digest, now time.Time, from sender) (*token.Principal, error) {
	unverified, err := token.Parse(raw)
	if err != nil {
		return nil, verdict.OfToken(err, "")
	}
	// The unverified issuer only selects among those that are configured.
	t := v.Named(unverified.Claims.Issuer())
	if t == nil {
		return nil, verdict.UnknownIssuer(unverified.Claims.Issuer(), v.Names())
	}
	t.Metrics.Misses.Inc()
	began := v.Now()
	facts, err := t.ProfileToVerify(from.LogIn).Verify(ctx, unverified, now)
	t.Metrics.Verifying.Observe(v.Now().Sub(began).Seconds())
	if err != nil {
		return nil, verdict.OfToken(err, t.Profile.Issuer)
	}
	v.Revoked.Outlives(t.Profile.Issuer, time.Unix(facts.Expiry, 0), now)
	if !t.AsksAlways() {
		t.Keep(key, facts)
	}
	if err := t.Standing(ctx, facts); err != nil {
		return nil, err
	}
	if !t.AsksAlways() {
		return t.Profile.Principal(t, facts, raw, unverified.Claims), nil
	}
	said, err := v.confirm(ctx, t, introspection.Request{
		Token: raw, Digest: key, JWT: facts, Claims: unverified.Claims, Remote: from.address(), Now: v.Now,
	}, from)
	if err != nil {
		return nil, err
	}
	return t.Profile.Principal(t, said.Facts, raw, unverified.Claims).Completed(said.Answer), nil
}
