package token

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Describe tells people what a check found and what it expected. The token's
// own words are quoted and bounded; no part of the token as it was sent is in
// it. p may be nil: then nothing is known of the issuer's settings.
func (r *Record) Describe(check Check, raw string, u *Unverified, p *Profile, now time.Time) (found, expected string) {
	switch check {
	case CheckSize:
		return fmt.Sprintf("%d bytes", len(raw)), fmt.Sprintf("%d bytes at most", MaxSize)
	case CheckForm:
		found = "three parts"
		if !r.Passed(check) {
			found = shapeOf(raw)
		}
		return found, "three non-empty parts with dots between: a signed JWT"
	case CheckHeaderText, CheckPayloadText, CheckSignText:
		return r.told(check, "base64url"), "strict base64url, without padding or white space"
	case CheckHeaderJSON, CheckPayloadJSON:
		return r.told(check, "one JSON object"), "one strict JSON object: each name once, valid UTF-8"
	case CheckHeaderTypes:
		return r.told(check, "nothing out of place"), "alg, kid, typ and cty are strings; no crit or b64, and no cty JWT"
	case CheckClaimTypes:
		return r.told(check, "nothing out of place"), "registered claims of the types that the RFC gives them"
	}
	if p == nil {
		return "", ""
	}
	return r.describeProfile(check, u, p, now)
}

func (r *Record) describeProfile(check Check, u *Unverified, p *Profile, now time.Time) (found, expected string) {
	switch check {
	case CheckIssuer:
		if found = u.quoted("iss"); p.isSPIFFE() {
			return found + "; sub is " + u.quoted("sub"), "sub below " + quote(p.Issuer+"/") + ", or iss " + quote(p.tokenName()) + " and no SPIFFE ID of another domain"
		}
		return found, quote(p.tokenName())
	case CheckAlgorithm:
		return quote(u.alg), "one of " + p.Algorithms.String()
	case CheckType:
		expected = "at+jwt, JWT or none"
		if p.Strict {
			expected = "at+jwt (token_type at+jwt)"
		}
		if !u.typed {
			return "no typ in the header", expected
		}
		return quote(u.typ), expected
	case CheckRequired:
		if !p.Strict {
			return "not asked for", "nothing, without token_type at+jwt"
		}
		return r.told(check, "all there"), strings.Join(required, ", ")
	case CheckKind:
		marks, types := p.marks(), p.types()
		return r.told(check, "no mark of another kind"),
			"none of the claims " + strings.Join(marks, ", ") + "; the claim typ none of " + strings.Join(types, ", ") + "; the claim token_use none of " + strings.Join(p.uses(), ", ")
	case CheckStatus:
		if !p.Statuses {
			return "not asked for", "nothing, without status_lists"
		}
		return r.told(check, u.statusText()), "none, or a status_list with idx and uri"
	case CheckBound:
		return r.told(check, "bound to no key"), "no claim cnf, and no claim typ of DPoP: such a token is good with a proof of its key alone"
	case CheckExpiry:
		return r.told(check, "exp"), "exp"
	case CheckExpired:
		return u.moment("exp", now), "after " + stamp(now.Add(-p.Skew)) + " (now, with a skew of " + p.Skew.String() + ")"
	case CheckNotBefore:
		return u.moment("nbf", now), "none, or not after " + stamp(now.Add(p.Skew)) + " (now, with a skew of " + p.Skew.String() + ")"
	case CheckAudience:
		var expected []string
		if p.Resource != "" {
			expected = append(expected, quote(p.Resource)+" (resource)")
		}
		found := u.quoted("aud")
		if len(p.Audience) > 0 {
			expected = append(expected, "one of "+quoteAll(p.Audience))
		}
		if p.ByClient && len(u.Claims.Audience()) == 0 {
			found += ", and client_id is " + u.quoted("client_id")
			expected = append(expected, "as client_id, where there is no aud (client_id_as_audience)")
		}
		if expected == nil {
			return found, "any (insecure_any_audience)"
		}
		return found, strings.Join(expected, ", and ")
	}
	return r.describeKey(check, u, p)
}

func (r *Record) describeKey(check Check, u *Unverified, p *Profile) (found, expected string) {
	kid := quote(u.kid)
	if u.kid == "" {
		kid = "no kid"
	}
	switch check {
	case CheckKeys:
		if errs := r.Errors(check); len(errs) > 0 {
			return "none: " + errs[0].Error(), "the issuer's keys"
		}
		if r.set.Len() == 1 {
			return "1 usable key", "the issuer's keys"
		}
		return strconv.Itoa(r.set.Len()) + " usable keys", "the issuer's keys"
	case CheckKey:
		if text, ok := r.plain(u, p); ok && u.kid == "" && !r.Passed(check) {
			return "no kid, and " + text, plainWanted(u)
		}
		if u.kid == "" && !r.Passed(check) {
			return "no kid, and no key for " + quote(u.alg) + " verifies the signature", "a key of the issuer that does"
		}
		return kid, "a key of the issuer: " + r.set.ids()
	case CheckKeyAlgorithm:
		if text, ok := r.plain(u, p); ok {
			return text, plainWanted(u)
		}
		if !r.Passed(check) {
			return "the key " + kid + " is not for " + quote(u.alg), "a key for " + quote(u.alg)
		}
		return quote(u.alg), "an algorithm that the key is for"
	case CheckSignature:
		if !r.Passed(check) {
			return "it does not verify with the key " + kid, "made with that key over these bytes"
		}
		return "it verifies", "made with that key over these bytes"
	}
	return "", ""
}

// plain says that an RSA key would do, had the issuer said what it is for.
func (r *Record) plain(u *Unverified, p *Profile) (text string, ok bool) {
	if r.set == nil {
		return "", false
	}
	fit, _, plain := r.set.candidates(u.kid, u.alg, p.Algorithms)
	return r.set.plainText(u.alg, p.Algorithms), plain && len(fit) == 0
}

func plainWanted(u *Unverified) string {
	return "a key whose alg is " + quote(u.alg) + ", or algorithms in the issuer block that name it"
}

// plainText says why an RSA key without an alg is not for one.
func (s *KeySet) plainText(alg string, configured Algorithms) string {
	text := "the RSA key has no alg, and so is for " + s.plainRSA(configured).String()
	switch {
	case configured&unnamed == 0:
		text += " (algorithms)"
	case s.named != 0:
		text += " (the issuer's metadata)"
	}
	return text + " and not for " + quote(alg)
}

// told is what the check's refusals say, or ok where there are none.
func (r *Record) told(check Check, ok string) string {
	var all []string
	for _, err := range r.Errors(check) {
		text := err.Error()
		if refusal, is := err.(*Refusal); is { //nolint:errorlint // note got it as it is
			text = refusal.Detail
			if refusal.Reason == ClaimMissing {
				text = "no " + text
			}
		}
		all = append(all, clip(text))
	}
	if len(all) == 0 {
		return ok
	}
	return strings.Join(all, "; ")
}

// quoted is a claim as text that no terminal obeys.
func (u *Unverified) quoted(name string) string {
	v, has := u.Claims[name]
	if !has {
		return "no " + name
	}
	if list, ok := v.([]any); ok {
		all, _ := words(list)
		return quoteAll(all)
	}
	return quote(u.Claims.String(name))
}

func (u *Unverified) moment(name string, now time.Time) string {
	n, has := seconds(u.Claims[name])
	if !has {
		return "no " + name
	}
	at := time.Unix(int64(n), 0)
	away := at.Sub(now).Round(time.Second)
	if away < 0 {
		return stamp(at) + " (" + (-away).String() + " ago)"
	}
	return stamp(at) + " (in " + away.String() + ")"
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

func quote(s string) string { return strconv.QuoteToASCII(clip(s)) }

func quoteAll(list []string) string {
	const most = 20
	all := make([]string, 0, most)
	for i, s := range list {
		if i == most {
			all = append(all, fmt.Sprintf("and %d more", len(list)-most))
			break
		}
		all = append(all, quote(s))
	}
	if len(all) == 0 {
		return "an empty list"
	}
	return strings.Join(all, " ")
}

// String lists the names.
func (a Algorithms) String() string {
	return strings.Join(slices.DeleteFunc(strings.Fields(AlgorithmNames), func(name string) bool { return !a.has(name) }), " ")
}

// ids are the kids of a set, for people.
func (s *KeySet) ids() string {
	if s == nil {
		return ""
	}
	var all []string
	for _, key := range s.keys {
		if key.ID != "" {
			all = append(all, key.ID)
		}
	}
	if len(all) == 0 {
		return "none of them has a kid"
	}
	return quoteAll(all)
}
