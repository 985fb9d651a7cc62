package caddyoauth

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// sessionPrefix begins the handle in a session's cookie.
const sessionPrefix = "ogs_"

// pendingMark stands between the session cookie's name and that of one log-in.
const pendingMark = "-login-"

// ours tells which of our cookies a name is.
func (l *Login) ours(name string) (isSession, isPending bool) {
	rest, ok := strings.CutPrefix(name, l.cookie())
	return ok && rest == "", ok && strings.HasPrefix(rest, pendingMark)
}

// find reads the session's cookie, and counts those that claim to be it. It
// reads the field as it came: what strict parsers leave out is none of ours.
func (l *Login) find(h http.Header) (value string, n int) {
	for _, field := range h["Cookie"] {
		for pair := range strings.SplitSeq(field, ";") {
			name, text, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			if isSession, _ := l.ours(strings.Trim(name, " \t")); isSession {
				value, n = strings.Trim(text, " \t"), n+1
			}
		}
	}
	return value, n
}

// strip takes our cookies off a request, which no upstream gets. All others
// stay byte for byte.
func (l *Login) strip(h http.Header) {
	fields := h["Cookie"]
	if !slices.ContainsFunc(fields, func(field string) bool { return strings.Contains(field, l.cookie()) }) {
		return
	}
	kept := make([]string, 0, len(fields))
	for _, field := range fields {
		var few [8]string // on the stack
		rest := few[:0]
		for pair := range strings.SplitSeq(field, ";") {
			name, _, _ := strings.Cut(pair, "=")
			if isSession, isPending := l.ours(strings.Trim(name, " \t")); !isSession && !isPending {
				rest = append(rest, pair)
			}
		}
		if text := strings.TrimLeft(strings.Join(rest, ";"), " "); text != "" {
			kept = append(kept, text)
		}
	}
	if h.Del("Cookie"); len(kept) > 0 {
		h["Cookie"] = kept
	}
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

// pendingNames are the cookies of log-ins that this browser has begun.
func (l *Login) pendingNames(r *http.Request) (names []string) {
	for _, c := range r.Cookies() {
		if _, isPending := l.ours(c.Name); isPending && !slices.Contains(names, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}
