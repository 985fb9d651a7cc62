package token

import "strings"

// Issuer is the issuer that a token names: its iss. A JWT-SVID need not have one
// (SPIFFE JWT-SVID §3): it names its trust domain in sub.
func (c Claims) Issuer() string {
	if _, has := c["iss"]; has {
		return c.String("iss")
	}
	id, is := strings.CutPrefix(c.String("sub"), spiffeScheme)
	domain, _, _ := strings.Cut(id, "/")
	if !is || domain == "" {
		return ""
	}
	return spiffeScheme + domain
}

const spiffeScheme = "spiffe://"

// iss is what iss of an access token has to be.
func (p *Profile) iss(c Claims) string {
	if _, has := c["iss"]; !has && p.isSPIFFE() {
		return p.Issuer
	}
	return p.tokenName()
}

// tokenName is what the issuer calls itself in access tokens.
func (p *Profile) tokenName() string {
	if p.Tokens == "" {
		return p.Issuer
	}
	return p.Tokens
}

// isSPIFFE reports whether the issuer is a trust domain of SPIFFE.
func (p *Profile) isSPIFFE() bool { return strings.HasPrefix(p.Issuer, spiffeScheme) }

// checkSPIFFE keeps the keys of a trust domain from speaking for another: an
// identity in sub is one within it (SPIFFE JWT-SVID §4.2).
func (p *Profile) checkSPIFFE(u *Unverified) error {
	sub := u.Claims.String("sub")
	if p.isSPIFFE() && strings.HasPrefix(strings.ToLower(sub), spiffeScheme) && !strings.HasPrefix(sub, p.Issuer+"/") {
		return refuse(IssuerUnknown, "sub is "+clip(sub)+", which is no identity of "+p.Issuer)
	}
	return nil
}
