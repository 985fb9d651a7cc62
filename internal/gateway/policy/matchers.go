package policy

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// looks is what of a request requirements look at. What no matcher looks at is the
// upstream's own affair, however it is spelled.
type looks uint8

const (
	atPath looks = 1 << iota
	atMethod
	atQuery
	atHost
	atNothing  looks = 0
	atAnything       = atPath | atMethod | atQuery | atHost
)

// matcherLooks is what is known of Caddy's matchers. Any other one may look at
// anything.
var matcherLooks = map[string]looks{
	"path": atPath, "path_regexp": atPath, "method": atMethod, "query": atQuery, "host": atHost,
	"protocol": atNothing, "remote_ip": atNothing, "client_ip": atNothing, "tls": atNothing,
}

func (q *Requirement) looks() looks { return looksOf(q.Match) }

func looksOf(sets caddyhttp.RawMatcherSets) (all looks) {
	for _, set := range sets {
		for name, raw := range set {
			all |= looksOfOne(name, raw)
		}
	}
	return all
}

func looksOfOne(name string, raw json.RawMessage) looks {
	var inner caddyhttp.RawMatcherSets // of "not"
	var fields map[string]json.RawMessage
	known, ok := matcherLooks[name]
	switch {
	case ok:
		return known
	case name == "not" && json.Unmarshal(raw, &inner) == nil:
		return looksOf(inner)
	case (name == "header" || name == "header_regexp") && json.Unmarshal(raw, &fields) == nil:
		for field := range fields {
			if strings.EqualFold(field, "Host") {
				return atHost
			}
		}
		return atNothing
	}
	return atAnything
}

// pathHeaders are where some upstreams find another path than that of the
// request (folded). Servers with rewrites put them in for what is behind them.
var pathHeaders = []string{"x-original-url", "x-rewrite-url"}

// checkTarget refuses what an upstream may read differently from the matchers
// that requirements have. Paths see checkPath.
func (l looks) checkTarget(r *http.Request) error {
	if l&atMethod != 0 {
		if _, err := otherMethods(r); err != nil {
			return err
		}
	}
	// Caddy's matcher for queries finds nothing in one that is malformed, or too
	// long for Go. Others take of it what they can read.
	if l&atQuery != 0 && r.URL.RawQuery != "" {
		if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
			return Ambiguous("query", verdict.AmbiguousQuery, "a broken escape, a ; or too many parameters, where a requirement looks at the query")
		}
	}
	if l&atHost != 0 && r.Host != "" && !isPlainHost(r.Host) {
		return Ambiguous("host", verdict.AmbiguousHost, "it is no name of letters, digits, - and _ without a dot at its end, nor an address, where a requirement looks at the host")
	}
	return nil
}

// isPlainHost reports whether a host can be read in one way alone, with a port or
// without one. "admin.example." and "admin%2eexample" are admin.example to some.
func isPlainHost(host string) bool {
	if strings.HasPrefix(host, "[") {
		text, port, closed := strings.Cut(host[1:], "]")
		address, err := netip.ParseAddr(text)
		return closed && err == nil && address.Is6() && address.Zone() == "" && (port == "" || port[0] == ':' && isDigits(port[1:]))
	}
	name, port, _ := strings.Cut(host, ":")
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.ContainsFunc(label, func(c rune) bool { return c != '-' && c != '_' && !isAlphanumeric(c) }) {
			return false
		}
	}
	return isDigits(port)
}

func isAlphanumeric(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isDigits(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c < '0' || c > '9' })
}
