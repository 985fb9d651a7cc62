package caddyoauth

import (
	"context"
	"net/http"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Validator turns a presented token into a [Principal].
type Validator struct {
	trusts   []*trust
	byIssuer map[string]*trust
	asked    *trust // the one that is asked about opaque tokens; nil: they are refused
	now      func() time.Time
}

// trust is one issuer as this gateway sees it: the shared authority under the
// profile of this configuration.
type trust struct {
	*authority
	profile  token.Profile
	reach    string         // a digest of what says who the issuer is
	remember bool           // use the cache
	require  []*Requirement // of its tokens: the gateway's, and those of its issuer block
	client   *as.Client     // who the gateway is there; nil: nobody
	inquiry  *inquiry       // asks about tokens; nil: nobody does
	metrics  issuerMetrics
	now      func() time.Time // the validator's
}

func newValidator(now func() time.Time) *Validator {
	return &Validator{byIssuer: make(map[string]*trust), now: now}
}

func (v *Validator) add(t *trust) error {
	if v.byIssuer[t.profile.Issuer] != nil {
		return alreadyThere(t.profile.Issuer) // by way of placeholders
	}
	v.byIssuer[t.profile.Issuer], t.now = t, func() time.Time { return v.now() }
	v.trusts = append(v.trusts, t)
	if t.inquiry != nil {
		v.asked = t
	}
	return nil
}

// start begins to fetch the keys of every issuer.
func (v *Validator) start() {
	for _, t := range v.trusts {
		if t.server != nil {
			t.server.Start()
		}
	}
}

// sender is where a token comes from.
type sender struct {
	request *http.Request // whose address counts; nil: nobody's
	issuer  string        // whose token stood behind a reference token; "": nobody knows
}

func (s sender) address() string {
	if s.request == nil {
		return ""
	}
	return clientAddress(s.request)
}

// Validate proves one token. An error is a [*verdict.Rejection], which is the sender's
// affair, or a failure of ours or of the issuer.
func (v *Validator) Validate(ctx context.Context, raw string) (*token.Principal, error) {
	return v.validate(ctx, raw, sender{})
}

func (v *Validator) validate(ctx context.Context, raw string, from sender) (*token.Principal, error) {
	if len(raw) > token.MaxSize {
		_, err := token.Parse(raw)
		return nil, verdict.OfToken(err, "")
	}
	now := v.now()
	key := token.DigestOf(raw)
	if v.asked != nil && token.IsOpaque(raw) {
		return v.introspect(ctx, raw, key, now, from)
	}
	for _, t := range v.trusts {
		facts := t.recall(key, now)
		if facts == nil {
			continue
		}
		switch ok, err := t.profile.Judge(facts, now); {
		case err != nil:
			return nil, verdict.OfToken(err, t.profile.Issuer)
		case ok:
			t.metrics.hits.Inc()
			return t.principal(raw, facts, nil), nil
		}
	}
	return v.verify(ctx, raw, key, now, from)
}

// recall is what is remembered of a JWT. Where the issuer is asked about each,
// only what it said counts.
func (t *trust) recall(key token.Digest, now time.Time) *token.Facts {
	switch {
	case t.asksAlways():
		if said := t.inquiry.recall(key, now); said != nil {
			return said.facts // nil for one that is inactive: verified first, all the same
		}
	case t.remember:
		if facts, hit := t.cache.GetIfPresent(key); hit {
			return facts
		}
	}
	return nil
}

func (t *trust) asksAlways() bool { return t.inquiry != nil && t.inquiry.always }

// issuers are the names of those that are configured.
func (v *Validator) issuers() []string {
	names := make([]string, len(v.trusts))
	for i, t := range v.trusts {
		names[i] = t.profile.Issuer
	}
	return names
}

// verify proves a token that nothing is remembered of. Only verified tokens
// are remembered: errors are not, and strangers cannot fill the cache.
func (v *Validator) verify(ctx context.Context, raw string, key token.Digest, now time.Time, from sender) (*token.Principal, error) {
	unverified, err := token.Parse(raw)
	if err != nil {
		return nil, verdict.OfToken(err, "")
	}
	// The unverified issuer only selects among those that are configured.
	t := v.byIssuer[unverified.Claims.String("iss")]
	if t == nil {
		return nil, verdict.UnknownIssuer(unverified.Claims.String("iss"), v.issuers())
	}
	t.metrics.misses.Inc()
	began := v.now()
	facts, err := t.profile.Verify(ctx, unverified, now)
	t.metrics.verifying.Observe(v.now().Sub(began).Seconds())
	if err != nil {
		return nil, verdict.OfToken(err, t.profile.Issuer)
	}
	switch {
	case t.asksAlways():
		if facts, err = v.confirm(ctx, t, question{raw: raw, key: key, jwt: facts, remote: from.address(), clock: v.now}); err != nil {
			return nil, err
		}
	case t.remember:
		t.cache.Set(key, facts)
	}
	return t.principal(raw, facts, unverified.Claims), nil
}

func (t *trust) principal(raw string, facts *token.Facts, claims token.Claims) *token.Principal {
	return t.profile.Principal(t, facts, raw, claims)
}

// of is the issuer of a principal that this validator proved.
func (v *Validator) of(p *token.Principal) *trust { return v.byIssuer[p.Issuer] }
