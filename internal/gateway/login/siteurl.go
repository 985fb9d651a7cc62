package login

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// siteURL is where a browser sees this site: its origin, and the path that
// handle_path or uri strip_prefix took off.
type siteURL struct{ scheme, host, mount string }

// siteURLOf takes the scheme and the host of the connection, or what a proxy
// says of them that trusted_proxies names. Others can write there what they like.
func siteURLOf(r *http.Request) siteURL {
	o := siteURL{scheme: "http", host: r.Host}
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
