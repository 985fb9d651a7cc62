package token

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// Principal is who a verified token speaks for.
type Principal struct {
	Issuer  string // the issuer whose key verified the token, or that was asked about it
	Subject string // sub; some issuers leave it out for clients
	Scope   string // granted scope, words separated by spaces

	// Skew is how far the issuer's clock may be off ours.
	Skew time.Duration

	// Lists are claims that are lists for who reads them as placeholders, also
	// where the token has one value or none.
	Lists []string

	iss    string // what the issuer calls itself in access tokens
	prover any
	raw    string
	expiry int64  // seconds since 1970
	answer string // what the issuer said of an opaque token, or of a JWT that it completes
	light  bool   // it completes a JWT
	known  *Decoded
	decode sync.Once
	claims Claims
	named  *Named                // nil: nothing is known
	beside func(path string) any // nil: nothing more is known
}

// Principal is who a token speaks for that prover found to be good. claims may
// be nil: they are read from raw when they are asked for.
func (p *Profile) Principal(prover any, facts *Facts, raw string, claims Claims) *Principal {
	return &Principal{
		Issuer: p.Issuer, Subject: facts.Subject, Scope: facts.Scope, Skew: p.Skew,
		iss: p.tokenName(), prover: prover, raw: raw, claims: claims, known: facts.Decoded, named: &facts.Named, expiry: facts.Expiry,
	}
}

// Told is a principal whose claims are those of its issuer's answer about the
// token (RFC 7662 §2.2).
func (p *Principal) Told(answer string) *Principal {
	p.answer = answer
	return p
}

// Completed is a principal whose claims are those of a JWT with those of its
// issuer's answer about it, as [Claims.Completed] has them.
func (p *Principal) Completed(answer string) *Principal {
	p.answer, p.light = answer, answer != ""
	return p
}

// Beside has claims looked for that the token itself does not have: what its issuer
// says of the same user elsewhere.
func (p *Principal) Beside(lookup func(path string) any) { p.beside = lookup }

// Until is when the token is taken no more, with the skew that it is judged by.
func (p *Principal) Until() time.Time { return time.Unix(p.expiry, 0).Add(p.Skew) }

// ProvedBy reports whether the principal is of x and not of another prover.
func (p *Principal) ProvedBy(x any) bool { return p.prover == x }

// Claim finds a claim by its name or path, as [Claims.Lookup] does. "scope" is
// the scope that counts, wherever the token has it. A claim may be that of other
// requests, too: who reads it must not change it.
func (p *Principal) Claim(path string) (claim any, has bool) {
	claim, _ = p.find(path, true)
	return claim, claim != nil
}

// Text is a claim in a form of texts, as write makes it. It is remembered with the
// token, if the token is: a form always means the same write.
func (p *Principal) Text(path string, form Form, write func(claim any) (string, error)) (string, error) {
	if one := p.known.find(path, form); one != nil {
		return one.text, nil
	}
	claim, own := p.find(path, false) // its text will do
	text, err := write(claim)
	if err == nil && own {
		p.known.add(decodedClaim{path: path, form: form, text: text})
	}
	return text, err
}

// find finds a claim, or nil. own reports whether it is of the token itself; then
// it is kept if that is asked for.
func (p *Principal) find(path string, keep bool) (claim any, own bool) {
	switch {
	case path == "sub" && p.Subject != "":
		return p.Subject, true
	case path == "iss" && p.iss != "":
		return p.iss, true // also where its answer about an opaque token leaves it out
	case path == "scope" && p.Scope == "":
		return nil, false // and not what an ID token calls so
	case path == "scope":
		return p.Scope, true
	}
	if claim = p.decoded(path, keep); claim != nil || p.beside == nil {
		return claim, claim != nil
	}
	return p.beside(path), false
}

// decoded is what the token has at a path, or nil. That there is nothing is kept
// always.
func (p *Principal) decoded(path string, keep bool) any {
	if one := p.known.find(path, asItIs); one != nil {
		return one.claim
	}
	claim, _ := p.all().Lookup(path)
	if keep || claim == nil {
		p.known.add(decodedClaim{path: path, claim: claim})
	}
	return claim
}

// Met is the JSON pointer of what [Principal.Claim] finds in the token, or "".
func (p *Principal) Met(path string) string { return p.all().Met(path) }

// all are the claims. They are decoded when they are first asked for, if the
// token was only recognised.
func (p *Principal) all() Claims {
	p.decode.Do(func() {
		switch {
		case p.light:
			if p.claims == nil {
				p.claims, _ = PayloadClaims(p.raw) // it was decoded before, so it can be again
			}
			p.claims = p.claims.Completed(AnswerClaims(p.answer))
		case p.claims != nil || p.raw == "":
		case p.answer != "":
			p.claims = AnswerClaims(p.answer)
		default:
			p.claims, _ = PayloadClaims(p.raw) // it was decoded before, so it can be again
		}
		p.claims = p.claims.Within(p.Scope) // nothing behind us learns of more than counts
	})
	return p.claims
}

// HasScope reports whether the token was granted one scope word.
func (p *Principal) HasScope(word string) bool { return HasScope(p.Scope, word) }

// Withdraw takes scope away that the issuer took back while its token still
// names it. Issuers such as Entra grant api://orders/read and write read.
func (p *Principal) Withdraw(words string) {
	if words == "" {
		return
	}
	p.known = nil // it is of the token with all its scope
	gone := scopeWords(words)
	p.Scope = strings.Join(slices.DeleteFunc(scopeWords(p.Scope), func(word string) bool {
		return slices.ContainsFunc(gone, func(lost string) bool { return lost == word || strings.HasSuffix(lost, "/"+word) })
	}), " ")
}

// String keeps the token out of whatever prints a principal.
func (p *Principal) String() string { return p.Subject }

// Plain turns the numbers in a claim into Go numbers: int64 where they are
// whole and fit, else float64.
func Plain(claim any) any {
	switch v := claim.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = Plain(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, e := range v {
			out[name] = Plain(e)
		}
		return out
	}
	return claim
}
