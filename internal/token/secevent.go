package token

import (
	"context"
	"math"
	"time"
)

// Transmitter is what the Security Event Tokens of one transmitter must be that are
// meant for one receiver (RFC 8417 §2, OpenID Shared Signals Framework 1.0 §4.1).
// They pass the same front door as access tokens.
type Transmitter struct {
	Issuer     string   // iss, exactly
	Audience   []string // one of them must be in aud
	Algorithms Algorithms
	Skew       time.Duration
	Keys       KeySource
}

const (
	mostEvents = 8   // alternative names of one event (SSF §4.2.1)
	mostJTI    = 512 // bytes; it is told again to the transmitter
)

// VerifyEvents proves a Security Event Token, and answers its claims: sub_id is an
// object, and so is each of events. That its jti was not seen before is left to
// the caller. An error is a [*Refusal], or a failure to judge.
//
// There is no bound on its age: what was lost on the way comes late, and says by
// its times what it still concerns.
func (t *Transmitter) VerifyEvents(ctx context.Context, raw string, now time.Time) (Claims, error) {
	u, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	p := Profile{Issuer: t.Issuer, Audience: t.Audience, Algorithms: t.Algorithms, Skew: t.Skew, Keys: t.Keys}
	if err := p.checkIssuer(u); err != nil {
		return nil, err
	}
	if err := p.checkAlgorithm(u); err != nil {
		return nil, err
	}
	if err := u.checkEvents(); err != nil {
		return nil, err
	}
	// An iat to come is looked at as nbf is: what it takes back would include
	// what has not been granted yet.
	iat, _ := seconds(u.Claims["iat"])
	nbf, _ := seconds(u.Claims["nbf"])
	facts := &Facts{Audience: u.Claims.Audience(), NotBefore: int64(math.Ceil(max(iat, nbf)))}
	if err := p.checkNotBefore(facts, now); err != nil {
		return nil, err
	}
	if err := p.checkAudience(facts); err != nil {
		return nil, err
	}
	if _, err := p.prove(ctx, u, nil); err != nil {
		return nil, err
	}
	return u.Claims, nil
}

// checkEvents looks at what tells a Security Event Token from every other JWT, and
// at its form.
func (u *Unverified) checkEvents() error {
	c := u.Claims
	events, _ := c["events"].(map[string]any)
	_, about := c["sub_id"].(map[string]any)
	_, issued := c["iat"]
	jti := c.String("jti")
	switch {
	case !isType(u.typ, "secevent+jwt"): // §4.1.1
		return refuse(TypeRefused, "typ is "+clip(u.typ))
	case c["sub"] != nil: // §4.1.2
		return refuse(ClaimWrong, "sub is there: it may be another kind of token")
	case c["exp"] != nil: // §4.1.7
		return refuse(ClaimWrong, "exp is there: it may be another kind of token")
	case c["nonce"] != nil:
		return refuse(ClaimWrong, "nonce is there: it may be an ID token")
	case jti == "" || len(jti) > mostJTI:
		return refuse(ClaimMissing, "jti")
	case !issued:
		return refuse(ClaimMissing, "iat")
	case !about:
		return refuse(ClaimMissing, "sub_id")
	case len(events) == 0 || len(events) > mostEvents:
		return refuse(ClaimMissing, "events")
	}
	for name, event := range events {
		if _, object := event.(map[string]any); !object {
			return refuse(ClaimType, "the event "+clip(name)+" is not an object")
		}
	}
	return nil
}
