package proxies

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Said is what the proxies in front say of the request as the browser sent it. ""
// is what none of them says.
type Said struct {
	Scheme string // http or https
	Host   string // with a port, if one is named
	Port   string
	Prefix string // a path that was taken off, as it was written
}

// SaidOf believes the proxies that trusted_proxies names and nobody else: where
// each adds to a list what it saw, the word of the one that is nearest to the
// browser and still trusted counts. X-Forwarded-Proto and -Host are what most
// proxies set; where neither is there, Forwarded is read (RFC 7239).
func SaidOf(r *http.Request) (s Said) {
	if !Trusted(r) {
		return s
	}
	protos, hosts := list(r.Header, "X-Forwarded-Proto"), list(r.Header, "X-Forwarded-Host")
	from := list(r.Header, "X-Forwarded-For")
	if len(protos)+len(hosts) == 0 {
		if elements := forwarded(r.Header["Forwarded"]); len(elements) > 0 {
			var by []string
			for _, one := range elements {
				if one["for"] != "" {
					by = append(by, one["for"])
				}
			}
			one := elements[nearest(r, len(elements), by)]
			protos, hosts = []string{one["proto"]}, []string{one["host"]}
		}
	}
	s.Scheme = schemes[strings.ToLower(pick(r, protos, from))]
	s.Host = pick(r, hosts, from)
	if n, err := strconv.ParseUint(pick(r, list(r.Header, "X-Forwarded-Port"), from), 10, 16); err == nil && n > 0 {
		s.Port = strconv.FormatUint(n, 10)
	}
	prefixes := list(r.Header, "X-Forwarded-Prefix") // each has taken its own off
	if len(prefixes) > 0 {
		for _, one := range prefixes[nearest(r, len(prefixes), from):] {
			s.Prefix += strings.TrimSuffix(one, "/")
		}
	}
	return s
}

// A proxy says wss of a WebSocket's handshake, and the page beside it is https.
var schemes = map[string]string{"http": "http", "https": "https", "ws": "http", "wss": "https"}

// Trusted reports whether a request comes from a proxy that trusted_proxies names.
func Trusted(r *http.Request) bool {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}

// list reads a field that each proxy adds a value to, whether behind a comma or as
// a field of its own.
func list(h http.Header, name string) (values []string) {
	for _, field := range h[name] {
		for one := range strings.SplitSeq(field, ",") {
			if one = strings.TrimSpace(one); one != "" {
				values = append(values, one)
			}
		}
	}
	return values
}

func pick(r *http.Request, values, from []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[nearest(r, len(values), from)]
}

// mostHops bounds how many proxies are looked for.
const mostHops = 16

// nearest is the place, in a list of so many, of what the trusted proxy wrote that
// is nearest to the browser. from are the addresses that the proxies saw, in the
// same order: the last of the list is that of who is connected here, each one
// before it counts as long as the address behind it is a trusted one's. Where no
// proxy tells addresses, nobody can tell whose the values are: it is the last with
// trusted_proxies_strict, and the first without it, as Caddy takes clients'
// addresses then.
func nearest(r *http.Request, values int, from []string) int {
	if values < 2 {
		return 0
	}
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if len(from) == 0 && server != nil && server.TrustedProxiesStrict == 0 {
		return 0
	}
	at := values - 1
	for n, address := range slices.Backward(from) {
		if at == 0 || len(from)-n > mostHops || !trusts(server, address) {
			break
		}
		at--
	}
	return at
}

// trusts asks Caddy whether trusted_proxies of a server names an address. A module
// says what they are, so only Caddy can tell.
func trusts(server *caddyhttp.Server, address string) bool {
	ip, err := netip.ParseAddr(bare(address))
	if err != nil || server == nil {
		return false
	}
	question := &http.Request{Method: http.MethodGet, URL: new(url.URL), Header: http.Header{}, RemoteAddr: net.JoinHostPort(ip.WithZone("").String(), "1")}
	return Trusted(caddyhttp.PrepareRequest(question, caddy.NewReplacer(), nil, server))
}

// bare is an address without a port.
func bare(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return strings.Trim(address, "[]")
}

// Mend is what to write where the request came by plain http, as far as is known
// here, and must not.
func Mend(r *http.Request) string {
	says := len(r.Header["X-Forwarded-Proto"])+len(r.Header["Forwarded"]) > 0
	switch {
	case !Trusted(r) && says:
		peer, _, _ := net.SplitHostPort(r.RemoteAddr)
		return "name it in trusted_proxies: what " + peer + " says in X-Forwarded-Proto or Forwarded does not count without that"
	case says:
		return "have it set X-Forwarded-Proto to what the browser used; where several stand in a row, name each in trusted_proxies"
	}
	return "name it in trusted_proxies and have it set X-Forwarded-Proto"
}
