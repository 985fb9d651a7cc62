package token

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// ReadUserInfo reads what the issuer's userinfo endpoint says of a user: a JSON
// object, or a JWT, which is proven (OpenID Connect Core §5.3.2). An error is a
// [*Refusal] of the answer, or a failure to judge: it says nothing of the token
// that was sent.
func (l *Login) ReadUserInfo(ctx context.Context, body string, now time.Time) (Claims, error) {
	if !strings.HasPrefix(body, "{") {
		return l.verifyUserInfo(ctx, body, now)
	}
	members, err := ParseObject(body)
	if err != nil {
		return nil, refuse(Malformed, err.Error())
	}
	return Claims(members), nil
}

// verifyUserInfo proves a signed answer. Whose it is, and for whom, it may leave
// out; where it says so it has to be right.
func (l *Login) verifyUserInfo(ctx context.Context, raw string, now time.Time) (Claims, error) {
	u, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	p := Profile{Issuer: l.Issuer, Audience: []string{l.ClientID}, Algorithms: l.Algorithms, Skew: l.Skew, Keys: l.Keys}
	c, facts := u.Claims, &Facts{Audience: u.Claims.Audience(), Expiry: lastExpiry}
	if exp, has := seconds(c["exp"]); has {
		facts.Expiry = int64(exp)
	}
	switch {
	case u.typed && !isType(u.typ, "jwt"):
		return nil, refuse(TypeRefused, "typ is "+clip(u.typ))
	case c["events"] != nil || slices.Contains(notID, strings.ToLower(c.String("typ"))):
		return nil, refuse(TypeRefused, "it is no answer about a user")
	case c["iss"] != nil && c.String("iss") != l.Issuer:
		return nil, refuse(IssuerUnknown, "iss is "+clip(c.String("iss")))
	case len(facts.Audience) > 0 && p.checkAudience(facts) != nil:
		return nil, p.checkAudience(facts)
	}
	if err := p.checkExpired(facts, now); err != nil {
		return nil, err
	}
	if err := p.checkAlgorithm(u); err != nil {
		return nil, err
	}
	if _, err := p.prove(ctx, u, nil); err != nil {
		return nil, err
	}
	return c, nil
}

// ofToken are members that say something of one token, and nothing of its user.
// An ID token's, or an answer's, never stand for those of an access token.
var ofToken = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "scp", "client_id", "azp", "cnf", "act", "may_act",
	"nonce", "at_hash", "c_hash", "s_hash", "typ", "token_use", "token_type", "active", "sid", "events",
}

// ofLogIn are members that say how a user logged in.
var ofLogIn = []string{"acr", "amr", "auth_time"}

// OfUser are the claims that say something of the user.
func (c Claims) OfUser() Claims { return c.without(ofToken) }

// OfProfile are those that say something of the user and not of a log-in: what
// users may write into their profiles themselves proves none.
func (c Claims) OfProfile() Claims { return c.without(ofToken).without(ofLogIn) }

func (c Claims) without(names []string) Claims {
	less := maps.Clone(c)
	for _, name := range names {
		delete(less, name)
	}
	return less
}
