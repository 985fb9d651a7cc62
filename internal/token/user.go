package token

import "strings"

// FactsOfID makes facts of an ID token that was verified when it came. They say who
// has logged in: for how long that counts, the log-in's session says.
func FactsOfID(raw string) (*Facts, error) {
	claims, err := PayloadClaims(raw)
	if err != nil {
		return nil, err
	}
	return &Facts{
		Subject: strings.Clone(claims.String("sub")), Expiry: lastExpiry, Named: namesIn(claims), Decoded: new(Decoded),
	}, nil
}

// FactsOfUser are those of a user whom no ID token speaks of.
func FactsOfUser(subject string) *Facts { return &Facts{Subject: subject, Expiry: lastExpiry} }

// User is who has logged in: the claims are those of the ID token, or none without
// one, and the scope is what the log-in was granted.
func (p *Profile) User(prover any, facts *Facts, idToken, scope string) *Principal {
	user := p.Principal(prover, facts, idToken, nil)
	user.iss, user.Scope = p.Issuer, scope
	return user
}
