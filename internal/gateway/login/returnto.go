package login

import (
	"net/http"
	"net/url"
	"strings"
)

// targetOf is what the browser asked for, before anything was rewritten.
func targetOf(r *http.Request) string {
	if original := originalURL(r); original != nil {
		return original.RequestURI()
	}
	return r.RequestURI
}

// mostReturn bounds the address that a browser comes back to: it travels in a
// cookie.
const mostReturn = 1024

// returnTo is where a browser goes after its log-in: where the request was
// going, if that can be nowhere but on this site, else the site's first page.
func (l *Login) returnTo(o siteURL, target string) string {
	home := o.mount + "/"
	if !staysHere(home) {
		home = "/"
	}
	if !staysHere(target) {
		return home
	}
	path, _, _ := strings.Cut(target, "?")
	below := strings.TrimPrefix(path, o.mount)
	if l.Owns(below) && !strings.EqualFold(below, l.PathPrefix()+pathSessions) {
		return home // or one log-in would begin the next
	}
	return target
}

// staysHere reports whether browsers resolve a target on the site that they are
// at. They take \ for / and leave control characters out.
func staysHere(target string) bool {
	if len(target) == 0 || len(target) > mostReturn || target[0] != '/' || strings.HasPrefix(target, "//") {
		return false
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return false
		}
	}
	u, err := url.ParseRequestURI(target)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && u.Opaque == "" && !strings.HasPrefix(u.Path, "//") && !strings.Contains(u.Path, "\\")
}
