package caddyoauth

import (
	"net/http"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// find reads the session's cookie, and counts those that claim to be it. It
// reads the field as it came: what strict parsers leave out is none of ours.
func (l *Login) find(h http.Header) (value string, n int) {
	for _, field := range h["Cookie"] {
		for name, text := range eachCookie(field) {
			if name == l.cookie() {
				value, n = text, n+1
			}
		}
	}
	return value, n
}

// strip takes our cookies off a request, which no upstream gets.
func (l *Login) strip(h http.Header) {
	dropCookies(h, func(name, _ string) bool { return isLoginCookie(l.cookie(), name) })
}

// handle reads the session's cookie and leaves the request as it is. Two of
// them are none: a browser sends one of a __Host- name.
func (l *Login) handle(r *http.Request) (session.Handle, bool) {
	values := cookieValues(r, l.cookie())
	if len(values) != 1 {
		return session.Handle{}, false
	}
	return session.ParseHandle(sessionPrefix, values[0])
}

// setCookie writes a cookie of ours. Without age it ends with the browser; one
// below zero takes it away.
func setCookie(w http.ResponseWriter, name, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
