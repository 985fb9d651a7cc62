package token

import (
	"context"
	"math"
	"time"
)

// Assertion is what a JWT must be by which an issuer shows who it is when it takes back
// all that a user was granted, as Okta's Universal Logout sends it (Global Token
// Revocation). It passes the same front door as access tokens, and is none.
type Assertion struct {
	Issuer     string   // iss, exactly
	Audience   []string // the endpoint, as the issuer calls it: one of them must be in aud
	Algorithms Algorithms
	Skew       time.Duration
	Keys       KeySource
}

// AssertionFresh is how old an assertion may be by its iat, and how far its exp may be
// ahead.
const AssertionFresh = 10 * time.Minute

const typeAssertion = "global-token-revocation+jwt"

// IsAssertion reports whether a text says that it is one. Nothing of it is proved.
func IsAssertion(raw string) (u *Unverified, is bool) {
	u, err := Parse(raw)
	return u, err == nil && isType(u.typ, typeAssertion)
}

// Verify proves an assertion. That its jti was not seen before is left to the caller,
// who has to remember it until then. An error is a [*Refusal], or a failure to judge.
func (a *Assertion) Verify(ctx context.Context, u *Unverified, now time.Time) (jti string, until time.Time, err error) {
	p := Profile{Issuer: a.Issuer, Audience: a.Audience, Algorithms: a.Algorithms, Skew: a.Skew, Keys: a.Keys}
	if err := p.checkIssuer(u); err != nil {
		return "", until, err
	}
	if err := p.checkAlgorithm(u); err != nil {
		return "", until, err
	}
	c := u.Claims
	iat, issued := seconds(c["iat"])
	exp, ends := seconds(c["exp"])
	nbf, _ := seconds(c["nbf"])
	jti = c.String("jti")
	switch {
	case !isType(u.typ, typeAssertion):
		return "", until, refuse(TypeRefused, "typ is "+clip(u.typ))
	case jti == "" || len(jti) > mostJTI:
		return "", until, refuse(ClaimMissing, "jti")
	case !issued:
		return "", until, refuse(ClaimMissing, "iat")
	case !ends:
		return "", until, refuse(ClaimMissing, "exp")
	case now.Add(-AssertionFresh - a.Skew).After(time.Unix(int64(iat), 0)):
		return "", until, refuse(Expired, "iat is too old")
	case now.Add(AssertionFresh + a.Skew).Before(time.Unix(int64(exp), 0)):
		return "", until, refuse(ClaimWrong, "exp is too far ahead: it is good for too long")
	}
	facts := &Facts{Audience: c.Audience(), Expiry: int64(exp), NotBefore: int64(math.Ceil(max(iat, nbf)))}
	if err := p.judge(facts, now, nil); err != nil {
		return "", until, err
	}
	if _, err := p.prove(ctx, u, nil); err != nil {
		return "", until, err
	}
	return jti, time.Unix(int64(exp), 0).Add(a.Skew), nil
}
