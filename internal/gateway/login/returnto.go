package login

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/gateway/proxies"
)

// targetOf is what the browser asked for, before anything was rewritten.
func targetOf(r *http.Request) string {
	target := r.RequestURI
	if original := originalURL(r); original != nil {
		target = original.RequestURI()
	}
	if strings.HasPrefix(target, "//") {
		return target // which is no path of this site, and stays none behind a prefix
	}
	return prefixOf(proxies.SaidOf(r)) + target
}

// mostReturn bounds the address that a browser comes back to, about as servers
// bound the line of a request.
const mostReturn = 8 << 10

// returnTo is where a browser goes after its log-in: where the request was
// going, if that can be nowhere but on this site, else the site's first page.
func (l *Login) returnTo(o siteURL, target string) string {
	home := o.mount + "/"
	if !staysHere(home) {
		home = "/"
	}
	path, query, asks := strings.Cut(target, "?")
	if !staysHere(path) {
		return home
	}
	below := strings.TrimPrefix(path, o.mount)
	if l.Owns(below) && !strings.EqualFold(below, l.PathPrefix()+pathSessions) {
		return home // or one log-in would begin the next
	}
	if query = escapeQuery(query); !asks || len(path)+1+len(query) > mostReturn {
		return path
	}
	return path + "?" + query
}

// staysHere reports whether browsers resolve a path on the site that they are
// at. They take \ for / and leave control characters out.
func staysHere(path string) bool {
	if len(path) == 0 || len(path) > mostReturn || path[0] != '/' || strings.HasPrefix(path, "//") {
		return false
	}
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '#' || c == '?' {
			return false
		}
	}
	u, err := url.ParseRequestURI(path)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && u.Opaque == "" && !strings.HasPrefix(u.Path, "//") && !strings.Contains(u.Path, "\\")
}

// escapeQuery is a query as browsers send it. Behind the ? nothing leads to
// another site any more, and browsers send a backslash there as it is (WHATWG
// URL, query state), as Prometheus and Grafana need it. What they escape, or would
// take for a fragment, is escaped.
func escapeQuery(query string) string {
	odd := func(c byte) bool { return c <= ' ' || c >= 0x7f || c == '#' }
	var out strings.Builder
	for i := range len(query) {
		if c := query[i]; odd(c) {
			_, _ = fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}
