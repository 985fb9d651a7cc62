package credential

import (
	"net/http"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/lenient"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// Presented is what a request was found to carry.
type Presented struct {
	Token   string
	at      place
	Swapped bool           // the request brought a reference token in its place
	Grant   session.Handle // that the reference token, or the session, stands for
	Issuer  string         // whose token stood behind it
	Subject string         // of its grant, from the beginning; "": not known
	Scope   string         // that its grant has, where the answers that granted it say so
	Lost    string         // scope that its grant once had and has no more
	App     session.Secret // what the gateway remembers of its grant
	Made    *session.Made  // what was made of that; nil: nothing is kept
	Until   time.Time      // the end of that token, or of its grant
	Since   time.Time      // when its grant began
	Client  string         // whose grant it is

	Session  bool // it came as a session's cookie
	Replaced bool // which a newer log-in of the same browser has replaced
}

// PrepareForUpstream leaves the request as the upstream may see it: with the token that was
// verified, or without any. One that came in a place that logs show moves to
// the Authorization header, which they hide, and so does one that came as a
// reference token; with strip_token it goes altogether. Whatever else the client put into these places was not verified,
// and an upstream that trusts the gateway must not find it.
func (found Presented) PrepareForUpstream(r *http.Request, places *Places, strip bool) {
	moved := found.Swapped || found.at.exposed // to the Authorization header
	for i := range places.list {
		at := &places.list[i]
		if *at == found.at && !strip && !moved {
			continue
		}
		switch {
		case at.query != "":
			dropQuery(r, at.query)
		case at.cookie != "":
			dropCookie(r, at.cookie)
		default:
			lenient.Strip(r.Header, at.folded[:])
		}
	}
	if found.at.cookie != "" && !strip && !moved {
		// Of this name the upstream gets the one that was read, whatever else
		// the field holds that other parsers would take.
		dropCookie(r, found.at.cookie)
		r.AddCookie(&http.Cookie{Name: found.at.cookie, Value: found.Token}) //nolint:gosec // a request's cookie has no attributes
	}
	switch {
	case moved && !strip:
		r.Header.Set("Authorization", "Bearer "+found.Token)
	case found.at.header != "Authorization" || strip:
		r.Header.Del("Authorization")
	}
}

// Hidden reports whether caches cannot see that a request was one person's, and
// which header says whose. A query is part of what they store an answer under.
func (found Presented) Hidden() (yes bool, vary string) {
	switch {
	case found.Session, found.at.cookie != "":
		return true, "Cookie"
	case found.at.header == "Authorization":
		return false, ""
	}
	return found.Token != "", found.at.header
}

// InAuthorization reports whether the token came in the Authorization header.
func (found Presented) InAuthorization() bool { return found.at.header == "Authorization" }
