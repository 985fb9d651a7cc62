package login

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/gateway/proxies"
)

// siteURL is where a browser sees this site: its origin, and the path that was taken
// off, by a proxy in front, handle_path or uri strip_prefix.
type siteURL struct{ scheme, host, mount string }

// siteURLOf takes the scheme and the host of the connection, or what a proxy
// says of them that trusted_proxies names. Others can write there what they like.
func siteURLOf(r *http.Request) siteURL {
	o := siteURL{scheme: "http", host: r.Host}
	if r.TLS != nil {
		o.scheme = "https"
	}
	said := proxies.SaidOf(r)
	o.scheme, o.host = cmp.Or(said.Scheme, o.scheme), strings.ToLower(cmp.Or(said.Host, o.host))
	host, port, err := net.SplitHostPort(o.host)
	switch {
	case err != nil && said.Port != "" && said.Port != map[string]string{"https": "80", "http": "443"}[o.scheme] && said.Port != usualPorts[o.scheme]:
		o.host += ":" + said.Port // which a proxy may leave out of the host, and a browser does not
	case err == nil && port == usualPorts[o.scheme]: // browsers leave it out
		if o.host = host; strings.Contains(host, ":") {
			o.host = "[" + host + "]"
		}
	}
	o.mount = prefixOf(said)
	if original := originalURL(r); original != nil {
		o.mount += mountOf(original.EscapedPath(), r.URL.EscapedPath())
	}
	return o
}

var usualPorts = map[string]string{"https": "443", "http": "80"}

// prefixOf is the path that a proxy in front says it took off, or "".
func prefixOf(said proxies.Said) string {
	if said.Prefix == "" {
		return ""
	}
	prefix := strings.TrimSuffix(caddyhttp.CleanPath(said.Prefix, true), "/")
	if !staysHere(prefix+"/") || strings.ContainsAny(prefix, "?%;") {
		return ""
	}
	return prefix
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

// pathOf is an address of this site without its origin. Any other is as it was.
func (o siteURL) pathOf(address string) string {
	if path, ok := strings.CutPrefix(address, o.origin()); ok && strings.HasPrefix(path, "/") {
		return path
	}
	return address
}

func (o siteURL) origin() string { return o.scheme + "://" + o.host }

// plain reports whether it is a host and nothing else: what stands in Host is the
// sender's own text.
func (o siteURL) plain() bool {
	u, err := url.Parse(o.origin())
	return err == nil && u.Host == o.host && o.host != "" && !strings.ContainsAny(o.host, "\\\"'<> \t")
}

// secure reports whether browsers keep a Secure cookie of this origin: over https,
// and on the machine's own addresses.
func (o siteURL) secure() bool {
	if o.scheme == "https" {
		return true
	}
	host := (&url.URL{Host: o.host}).Hostname()
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}
