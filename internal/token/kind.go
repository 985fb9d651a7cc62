package token

import (
	"slices"
	"strings"
)

// checkType keeps every other kind of JWT out (RFC 8725 §3.11, RFC 9068 §4).
func (p *Profile) checkType(u *Unverified, rec *Record) error {
	if err := rec.note(CheckType, p.checkTyp(u)); err != nil {
		return err
	}
	if p.Strict {
		for _, name := range required {
			_, has := u.Claims[name]
			if err := rec.note(CheckRequired, present(name, has)); err != nil {
				return err
			}
		}
	}
	if err := rec.note(CheckRequired, nil); err != nil {
		return err
	}
	for _, mark := range p.marks() {
		if _, has := u.Claims[mark]; has {
			if err := rec.note(CheckKind, marked(mark)); err != nil {
				return err
			}
		}
	}
	if typ := u.Claims.String("typ"); slices.Contains(p.types(), strings.ToLower(typ)) {
		return rec.note(CheckKind, refuse(IDToken, "the claim typ is "+clip(typ)))
	}
	if use := u.Claims.String("token_use"); slices.Contains(p.uses(), use) {
		return rec.note(CheckKind, refuse(IDToken, "the claim token_use is "+use))
	}
	return rec.note(CheckKind, nil)
}

func marked(mark string) error {
	return refuse(IDToken, "the claim "+mark+" marks an ID, logout or event token")
}

// markOf is what marks a token as an ID token, by its claims or by its issuer's
// answer; "": nothing does.
func markOf(c Claims) string {
	for _, mark := range marksOfID {
		if _, has := c[mark]; has {
			return mark
		}
	}
	if typ := c.String("typ"); slices.Contains(typesOfID, strings.ToLower(typ)) {
		return "typ"
	}
	if slices.Contains(usesID, c.String("token_use")) {
		return "token_use"
	}
	return ""
}

func (p *Profile) checkTyp(u *Unverified) error {
	if u.typed && !isType(u.typ, "at+jwt") && (p.Strict || !isType(u.typ, "jwt") && !(p.isSPIFFE() && isType(u.typ, "jose"))) {
		return refuse(TypeRefused, "typ is "+clip(u.typ))
	}
	if p.Strict && !u.typed {
		return refuse(TypeRefused, "no typ, expected at+jwt")
	}
	return nil
}

// marks and types are those of tokens that do not pass.
func (p *Profile) marks() []string {
	if p.IDTokens || p.LoggedIn {
		return marksNever
	}
	return marksAll
}

func (p *Profile) types() []string {
	if p.IDTokens || p.LoggedIn {
		return typesNever
	}
	return typesAll
}

// uses are the values of token_use that mark a token that is no access token.
func (p *Profile) uses() []string {
	if p.IDTokens || p.LoggedIn {
		return usesRefresh
	}
	return usesNever
}

// required is what RFC 9068 §2.2 asks for beside iss and exp.
var required = []string{"aud", "sub", "client_id", "iat", "jti"}

// Marks of tokens that are no access tokens: ID tokens (OpenID Connect Core
// §2), and others that must not pass for one, by the events claim
// (RFC 8417), by Keycloak's claim typ, and by token_use (Amazon Cognito: "id" or
// "access").
var (
	marksOfID  = []string{"nonce", "at_hash", "c_hash"}
	marksNever = []string{"events"}
	typesOfID  = []string{"id"}
	typesNever = []string{"refresh", "offline", "logout"}

	usesAccess  = []string{"access", "access_token"}
	usesID      = []string{"id", "id_token"}
	usesRefresh = []string{"refresh", "refresh_token"}
	usesNever   = slices.Concat(usesID, usesRefresh)

	marksAll = slices.Concat(marksOfID, marksNever)
	typesAll = slices.Concat(typesOfID, typesNever)
)

// isType compares media types: case does not matter and "application/" may be
// left out (RFC 7515 §4.1.9).
func isType(typ, want string) bool {
	typ = strings.ToLower(typ)
	return strings.TrimPrefix(typ, "application/") == want
}
