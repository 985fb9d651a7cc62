package credential

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/lenient"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// What the gateway's own tokens begin with, so that they are known wherever
// they turn up.
const (
	AccessPrefix  = "oga_"
	RefreshPrefix = "ogr_"
)

// HasStrayToken reports whether one of our tokens stands where none belongs: in the
// request's target, or in a header other than the credential's. Neither the
// upstream nor a log may see it. Browsers send cookies unasked, so those are
// taken off instead.
func (p *Places) HasStrayToken(r *http.Request) bool {
	if !p.ours {
		return false
	}
	if HoldsOurs(r.URL.Path) || r.URL.User != nil && HoldsOurs(r.URL.User.String()) {
		return true
	}
	if r.URL.RawQuery != "" {
		for pair := range lenient.QueryPairs(r.URL.RawQuery) {
			name, value, _ := strings.Cut(pair, "=")
			if !p.isPlace(place{query: lenient.Unescape(name)}) && (HoldsOurs(lenient.Unescape(value)) || HoldsOurs(lenient.Unescape(name))) {
				return true
			}
		}
	}
	for name, values := range r.Header {
		if name == "Authorization" || name == "Cookie" { // find looks at the one, and strayCookie at the other
			continue
		}
		for _, value := range values {
			if HoldsOurs(value) && !p.isPlace(place{header: name}) {
				return true
			}
		}
	}
	return false
}

func (p *Places) isPlace(where place) bool {
	if where.cookie != "" && where.cookie == p.session {
		return true
	}
	return slices.ContainsFunc(p.list, func(at place) bool {
		return at.header == where.header && at.cookie == where.cookie && at.query == where.query
	})
}

// Exposes reports whether r carries a credential where Caddy's logs would show
// it: in its query, or in a header other than those they hide.
func (p *Places) Exposes(r *http.Request) bool {
	for _, at := range p.list {
		switch {
		case !at.exposed:
		case at.header != "" && len(r.Header[at.header]) > 0,
			at.query != "" && len(lenient.QueryValues(r.URL.RawQuery, at.query)) > 0:
			return true
		}
	}
	return false
}

// HoldsOurs finds a whole token of ours in a text, also in one that is escaped
// for a URL. Shorter ones, and the same characters inside another token, are none.
func HoldsOurs(text string) bool { return holdsAny(text, ourPrefixes[:]) }

// holdsSession finds the handle of a browser's session alone.
func holdsSession(text string) bool { return holdsAny(text, ourPrefixes[:1]) }

var ourPrefixes = [...]string{SessionPrefix, AccessPrefix, RefreshPrefix}

func holdsAny(text string, prefixes []string) bool {
	return holdsPlain(text, prefixes) || strings.IndexByte(text, '%') >= 0 && holdsPlain(lenient.Unescape(text), prefixes)
}

func holdsPlain(text string, prefixes []string) bool {
	for at := 0; ; {
		next := strings.Index(text[at:], "og")
		if next < 0 {
			return false
		}
		begin := at + next
		at = begin + 2
		if !beginsWord(text, begin) {
			continue
		}
		rest := text[begin:]
		if !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(rest, prefix) }) {
			continue
		}
		end, whole := len(AccessPrefix), len(AccessPrefix)+session.HandleLength
		for end < min(len(rest), whole) && isBase64URL(rest[end]) {
			end++
		}
		if end == whole {
			return true
		}
	}
}

// beginsWord reports whether a token may begin here: not behind another character of
// one, unless that is the end of an escape such as %22.
func beginsWord(text string, at int) bool {
	return at == 0 || !isBase64URL(text[at-1]) ||
		at >= 3 && text[at-3] == '%' && isHex(text[at-2]) && isHex(text[at-1])
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func isBase64URL(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
