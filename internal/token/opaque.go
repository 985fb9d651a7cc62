package token

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// IsOpaque reports whether a token is no JWT, so that only its issuer can say
// what it is: anything without exactly two dots, encrypted tokens (JWE) among
// it, or with a first part that is no JSON object. A JWT that is broken behind
// its header stays one, and is refused.
func IsOpaque(raw string) bool {
	header, rest, _ := strings.Cut(raw, ".")
	_, signature, two := strings.Cut(rest, ".")
	if !two || strings.IndexByte(signature, '.') >= 0 {
		return true
	}
	return !beginsWithHeader(header)
}

// LooksOpaque reports whether a token has no header of a JWT or a JWE in front,
// whatever number of dots is in it: Hydra's opaque tokens have one.
func LooksOpaque(raw string) bool {
	header, _, dotted := strings.Cut(raw, ".")
	return !dotted || !beginsWithHeader(header)
}

func beginsWithHeader(header string) bool {
	if strings.HasPrefix(header, "eyJ") { // {" in base64url
		return true
	}
	h, err := decode(header)
	if err != nil {
		return false
	}
	_, err = ParseObject(text(h))
	return err == nil
}

// lastExpiry is that of a token whose issuer names none.
const lastExpiry = lastSecond

// Read makes facts of an answer about an opaque token. An error is a
// [*Refusal], which holds for as long as the profile does. What depends on the
// hour and on the audience is judged by [Profile.Judge], as it is for a JWT. A
// refusal for the marks of an ID token comes with facts: a log-in of our own may
// use them.
func (p *Profile) Read(a *Answer) (*Facts, error) {
	if err := p.checkAnswer(a); err != nil {
		return nil, err
	}
	facts := a.facts()
	if err := p.checkMark(facts); err != nil {
		return facts, err
	}
	if (p.Told || p.ByClient && facts.Client != "") && !a.isAccessToken() {
		return nil, refuse(TypeRefused, "the issuer does not say what it is (token_type, token_use or typ), and no audience tells: it may be a refresh token")
	}
	return facts, nil
}

// checkMark refuses what the issuer's answer marks as an ID token.
func (p *Profile) checkMark(facts *Facts) error {
	if facts.Mark == "" || p.IDTokens {
		return nil
	}
	return refuse(IDToken, "the issuer names "+facts.Mark+", which marks an ID, logout or event token")
}

// accessTokenURN is what token exchange calls access tokens (RFC 8693 §3).
const accessTokenURN = "urn:ietf:params:oauth:token-type:access_token" //nolint:gosec // a name, no secret

// isAccessToken reports whether the answer says so. What says otherwise was
// refused before.
func (a *Answer) isAccessToken() bool {
	_, typed := a.Claims["token_type"] // RFC 7662 §2.2: of access tokens, as RFC 6749 §5.1 has it
	typ := a.Claims.String("typ")
	return typed || a.Claims.String("token_use") != "" || strings.EqualFold(typ, "Bearer") || isType(typ, "at+jwt")
}

func (a *Answer) facts() *Facts {
	exp, has := seconds(a.Claims["exp"])
	if !has {
		exp = lastExpiry
	}
	nbf, _ := seconds(a.Claims["nbf"])
	audience := a.Claims.Audience()
	return &Facts{
		Subject: a.Claims.String("sub"), Scope: a.Claims.Scope(), Audience: audience, Client: a.Claims.clientFor(audience),
		Expiry: int64(math.Floor(exp)), NotBefore: int64(math.Ceil(nbf)), Mark: markOf(a.Claims),
		Named: namesIn(a.Claims),
	}
}

// Confirm makes facts of an answer about a JWT that was verified. What the
// answer names as well can only take away: it ends earlier, has less scope, is
// meant for fewer. Marks of an ID token are as with Read.
func (p *Profile) Confirm(verified *Facts, a *Answer) (*Facts, error) {
	if err := p.checkAnswer(a); err != nil {
		return nil, err
	}
	said, facts := a.facts(), *verified
	facts.Named = facts.Named.or(said.Named)
	facts.Expiry, facts.NotBefore = min(facts.Expiry, said.Expiry), max(facts.NotBefore, said.NotBefore)
	if _, has := a.Claims["aud"]; has {
		facts.Audience, facts.Client = common(facts.Audience, said.Audience), ""
	}
	if client, has := a.Claims["client_id"]; has && client != facts.Client {
		facts.Client = ""
	}
	if a.Claims["scope"] != nil || a.Claims["scp"] != nil {
		facts.Scope = strings.Join(common(scopeWords(facts.Scope), scopeWords(said.Scope)), " ")
	}
	if said.Mark == "" {
		return &facts, nil
	}
	facts.Mark = said.Mark
	return &facts, p.checkMark(&facts)
}

func common(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(one string) bool { return !slices.Contains(b, one) })
}

// checkAnswer looks at what RFC 7662 §2.2 and §4 have a resource check, besides
// times and audience.
func (p *Profile) checkAnswer(a *Answer) error {
	if !a.Active {
		return refuse(Inactive, "the issuer says that it is not active: revoked, expired, or none of its tokens")
	}
	if iss, has := a.Claims["iss"]; has && iss != p.iss(a.Claims) {
		return refuse(IssuerUnknown, "the issuer says that iss is "+clip(a.Claims.String("iss")))
	}
	if err := checkBound(a.Claims); err != nil {
		return err
	}
	// A refresh token is no access token, however active it is.
	if kind, has := a.Claims["token_type"]; has {
		name, _ := kind.(string)
		if strings.EqualFold(name, "DPoP") {
			return refuse(BoundToken, "the issuer says that token_type is "+name)
		}
		if !strings.EqualFold(name, "Bearer") && name != "access_token" && name != accessTokenURN {
			return refuse(TypeRefused, fmt.Sprintf("the issuer says that token_type is %.100q", clip(name)))
		}
	}
	// The uses of ID tokens are a mark of one, as in JWTs: checkMark decides.
	if use := a.Claims.String("token_use"); use != "" && !slices.Contains(usesAccess, use) && !slices.Contains(usesID, use) {
		return refuse(TypeRefused, "the issuer says that token_use is "+clip(use))
	}
	for _, mark := range marksNever {
		if _, has := a.Claims[mark]; has {
			return refuse(IDToken, "the issuer names "+mark+", which marks an ID, logout or event token")
		}
	}
	if typ := a.Claims.String("typ"); slices.Contains(typesNever, strings.ToLower(typ)) {
		return refuse(IDToken, "the issuer says that typ is "+typ)
	}
	return nil
}
