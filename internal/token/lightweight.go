package token

import (
	"fmt"
	"maps"
	"slices"
)

// Lightweight access tokens (Keycloak) are JWTs that are signed as others are, and
// say little: who they speak for, what they are meant for and what they grant is
// in their issuer's answer about them.

// Unaddressed is the profile of tokens of which an answer has yet to say what they
// are meant for.
func (p *Profile) Unaddressed() *Profile {
	q := *p
	q.Audience, q.Resource, q.ByClient = nil, "", false
	return &q
}

// Complete makes facts of a JWT that was verified, and of an answer about it that
// says what it lacks. What both name is as the answer has it; but the token lives
// no longer than it says itself, and is of the same issuer and subject. Marks of
// an ID token are as with Read.
func (p *Profile) Complete(verified *Facts, signed Claims, a *Answer) (*Facts, error) {
	if err := p.checkAnswer(a); err != nil {
		return nil, err
	}
	if sub := a.Claims.String("sub"); sub != "" && verified.Subject != "" && sub != verified.Subject {
		return nil, refuse(ClaimWrong, fmt.Sprintf("the issuer says that sub is %q, and the token says %q: the answer is about another token", clip(sub), clip(verified.Subject)))
	}
	said, all, facts := a.facts(), signed.Completed(a.Claims), *verified
	facts.Expiry, facts.NotBefore = min(facts.Expiry, said.Expiry), max(facts.NotBefore, said.NotBefore)
	facts.Subject, facts.Scope, facts.Audience = all.String("sub"), all.Scope(), all.Audience()
	facts.Client = all.clientFor(facts.Audience)
	if said.Mark == "" {
		return &facts, nil
	}
	facts.Mark = said.Mark
	return &facts, p.checkMark(&facts)
}

// signedOnly are claims that nothing but a signature vouches for.
var signedOnly = []string{"iss", "exp", "nbf", "iat", "cnf"}

// Completed are the claims of a JWT with the members of an answer about it, which
// count more. c itself stays as it is.
func (c Claims) Completed(answer Claims) Claims {
	all := maps.Clone(c)
	if all == nil {
		all = Claims{}
	}
	if answer["scope"] != nil || answer["scp"] != nil { // one scope, whatever the two call it
		delete(all, "scope")
		delete(all, "scp")
	}
	for name, said := range answer {
		if said != nil && !slices.Contains(signedOnly, name) {
			all[name] = said
		}
	}
	own, ours := seconds(c["exp"])
	if ends, has := seconds(answer["exp"]); has && (!ours || ends < own) {
		all["exp"] = answer["exp"]
	}
	own, ours = seconds(c["nbf"])
	if starts, has := seconds(answer["nbf"]); has && (!ours || starts > own) {
		all["nbf"] = answer["nbf"]
	}
	return all
}
