package caddyoauth

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// outside is where a browser sees this site: its origin, and the path that
// handle_path or uri strip_prefix took off.
type outside struct{ scheme, host, mount string }

// outsideOf takes the scheme and the host of the connection, or what a proxy
// says of them that trusted_proxies names. Anybody else can say what he likes.
func outsideOf(r *http.Request) outside {
	o := outside{scheme: "http", host: r.Host}
	if r.TLS != nil {
		o.scheme = "https"
	}
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		if proto := r.Header["X-Forwarded-Proto"]; len(proto) == 1 && (proto[0] == "https" || proto[0] == "http") {
			o.scheme = proto[0]
		}
		if host := r.Header["X-Forwarded-Host"]; len(host) == 1 && host[0] != "" {
			o.host = host[0]
		}
	}
	o.host = strings.ToLower(o.host)
	// Browsers leave the usual port out.
	if host, port, err := net.SplitHostPort(o.host); err == nil && (port == "443" && o.scheme == "https" || port == "80" && o.scheme == "http") {
		if o.host = host; strings.Contains(host, ":") {
			o.host = "[" + host + "]"
		}
	}
	if original := originalURL(r); original != nil {
		o.mount = mountOf(original.EscapedPath(), r.URL.EscapedPath())
	}
	return o
}

// mountOf is what was taken off a path. Caddy takes //app for /app, and browsers
// take //app/x for the host app: it is told in the one spelling that stays here.
func mountOf(original, path string) string {
	mount, ok := strings.CutSuffix(original, path)
	if !ok || mount == "" {
		return ""
	}
	if mount = caddyhttp.CleanPath(mount, true); !staysHere(mount + "/") {
		return ""
	}
	return mount
}

// originalURL is the request's URL as it came, before anything was rewritten.
func originalURL(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return original.URL
	}
	return nil
}

func (o outside) origin() string { return o.scheme + "://" + o.host }

// plain tells whether it is a host and nothing else: what stands in Host is the
// sender's own text.
func (o outside) plain() bool {
	u, err := url.Parse(o.origin())
	return err == nil && u.Host == o.host && o.host != "" && !strings.ContainsAny(o.host, "\\\"'<> \t")
}

// secure tells whether browsers keep a Secure cookie of this origin: over https,
// and on the machine's own addresses.
func (o outside) secure() bool {
	if o.scheme == "https" {
		return true
	}
	host := (&url.URL{Host: o.host}).Hostname()
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}

// sameOrigin tells whether a page of this very origin has sent the request.
// Who sends neither header is no browser of these years.
func sameOrigin(r *http.Request) bool {
	if site := r.Header["Sec-Fetch-Site"]; len(site) > 0 {
		return len(site) == 1 && site[0] == "same-origin"
	}
	origin := r.Header["Origin"]
	return len(origin) == 1 && origin[0] == outsideOf(r).origin()
}

// navigates tells whether a person looks at what comes back. Browsers that do
// not say so ask for HTML.
func navigates(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || upgrades(r) {
		return false
	}
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	if mode != "" || dest != "" {
		return mode == "navigate" && dest == "document"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// mostReturn bounds the address that a browser comes back to: it travels in a
// cookie.
const mostReturn = 1024

// returnTo is where a browser goes after its log-in: where the request was
// going, if that can be nowhere but on this site, else the site's first page.
func (l *Login) returnTo(o outside, target string) string {
	home := o.mount + "/"
	if !staysHere(home) {
		home = "/"
	}
	if !staysHere(target) {
		return home
	}
	path, _, _ := strings.Cut(target, "?")
	below := strings.TrimPrefix(path, o.mount)
	if l.owns(below) && !strings.EqualFold(below, l.prefix()+pathSessions) {
		return home // or one log-in would begin the next
	}
	return target
}

// staysHere tells whether browsers resolve a target on the site that they are
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
