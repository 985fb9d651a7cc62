package revoked

import "strings"

// An entry names an issuer's tokens by sub, sid, jti or client. What is to be found
// by another claim, or only renewed, stands in the list under a name of its own for
// the issuer. No issuer is called so: it has white space.

const renewMark = " (renew)"

// ByClaim names an issuer where Subject is the value of a claim.
func ByClaim(issuer, claim string) string { return issuer + " (" + claim + ")" }

// Renewed names an issuer, or what ByClaim answers, for access tokens that are to be
// renewed: of those a grant gets a new one, and no open stream ends.
func Renewed(issuer string) string { return issuer + renewMark }

// Means says what the name of an entry's issuer means: the claim that has Subject, ""
// for sub, and whether tokens are to be renewed alone.
func (e *Entry) Means() (claim string, renew bool) {
	name, renew := strings.CutSuffix(e.Issuer, renewMark)
	if _, rest, is := strings.Cut(name, " ("); is {
		claim = strings.TrimSuffix(rest, ")")
	}
	return claim, renew
}

// Kinds counts entries by what they are found by.
type Kinds struct {
	Tokens   int `json:"jti"`
	Sessions int `json:"sid"`
	Subjects int `json:"subject"`
	Clients  int `json:"client"`
	Issuers  int `json:"issuer"`
	Claims   int `json:"claim"` // that an event named by another claim
	Renewals int `json:"renew"` // of all these: tokens that are to be renewed, and no more
}

// Kinds counts those there are.
func (l *List) Kinds() (n Kinds) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.known {
		claim, renew := one.Means()
		if renew {
			n.Renewals++
		}
		switch {
		case claim != "":
			n.Claims++
		case one.ID != "":
			n.Tokens++
		case one.Session != "":
			n.Sessions++
		case one.Subject != "":
			n.Subjects++
		case one.Client != "":
			n.Clients++
		default:
			n.Issuers++
		}
	}
	return n
}
