package login

import (
	"net/http"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/lenient"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Find reads the session's cookie, and counts those that claim to be it. It
// reads the field as it came: what strict parsers leave out is not the session's.
func (l *Login) find(h http.Header) (value string, n int) {
	own := l.CookieName()
	for _, field := range h["Cookie"] {
		for name, text := range lenient.Cookies(field) {
			if name == own {
				value, n = text, n+1
			}
		}
	}
	return value, n
}

// Strip takes the site's cookies off a request, which no upstream gets.
func (s *Site) Strip(h http.Header) {
	if s != nil {
		s.Block.strip(h)
	}
}

func (l *Login) strip(h http.Header) {
	own := l.CookieName()
	lenient.DropCookies(h, func(name, _ string) bool { return credential.IsLoginCookie(own, name) })
}

// handle reads the session's cookie and leaves the request as it is. Two of
// them are none: a browser sends one of a __Host- name.
func (l *Login) handle(r *http.Request) (session.Handle, bool) {
	values := credential.CookieValues(r, l.CookieName())
	if len(values) != 1 {
		return session.Handle{}, false
	}
	return session.ParseHandle(credential.SessionPrefix, values[0])
}

// setCookie sets one of the site's cookies. Without age it ends with the browser;
// one below zero takes it away.
func setCookie(w http.ResponseWriter, name, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// Find finds the credential of a browser that brought no other: the session's
// cookie.
func (s *Site) Find(r *http.Request, found credential.Presented) (credential.Presented, error) {
	if s == nil || found.Token != "" {
		return found, nil
	}
	value, n := s.Block.find(r.Header)
	if n == 0 {
		return found, nil
	}
	found = credential.Presented{Token: value, Session: true}
	if n > 1 {
		found.Token = "" // a browser sends one of a __Host- name
	}
	if (policy.Changes(r) || shakesHands(r)) && !sameOrigin(r) {
		return found, &verdict.Rejection{
			Status: http.StatusForbidden, Reason: verdict.CrossSite,
			Detail: "a request that may change something came with a session's cookie and neither Sec-Fetch-Site: same-origin nor this site's Origin",
		}
	}
	return found, nil
}

// Answer tells another proxy which cookies its upstream may see: those that are
// left. Where none is left there is no field, and the proxy must send none.
func (s *Site) Answer(to, left http.Header) {
	if s == nil {
		return
	}
	if fields := left["Cookie"]; len(fields) > 0 {
		to.Set("Cookie", strings.Join(fields, "; "))
	}
}

// Forget takes a session's cookie away that is good for nothing. One that a
// newer log-in of the same browser has replaced is on its way out already: to
// take it away now could hit the new one.
func (s *Site) Forget(w http.ResponseWriter, found credential.Presented) {
	if found.Session && !found.Replaced {
		setCookie(w, s.Block.CookieName(), "", -1)
	}
}
