package caddyoauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// What the gateway's own tokens begin with, so that they are known wherever
// they turn up.
const (
	accessPrefix  = "oga_"
	refreshPrefix = "ogr_"
)

// redeem replaces a reference token by the access token behind it, refreshed if
// it has run out. Any other token stays as it is.
func (g *Gateway) redeem(ctx context.Context, found presented) (presented, error) {
	switch {
	case g.keeper == nil:
		return found, nil
	case found.session:
		return g.redeemSession(ctx, found)
	case strings.HasPrefix(found.token, sessionPrefix):
		return found, verdict.OfReference(verdict.NoGrant, "a session's handle counts in its cookie alone")
	}
	if strings.HasPrefix(found.token, refreshPrefix) {
		return found, verdict.OfReference(verdict.RefreshPresented, "a refresh token is never sent to a resource (RFC 6749 §1.5)")
	}
	handle, ours := session.ParseHandle(accessPrefix, found.token)
	if !ours {
		if strings.HasPrefix(found.token, accessPrefix) {
			return found, verdict.OfReference(verdict.NoGrant, "not spelled as a reference token is")
		}
		return found, nil
	}
	found.grant = handle
	return found.become(g.keeper.Access(ctx, handle))
}

// redeemSession replaces a session's handle by its access token, refreshed if it
// has run out. A session that has ended is none: then the token is empty.
func (g *Gateway) redeemSession(ctx context.Context, found presented) (presented, error) {
	handle, ok := session.ParseHandle(sessionPrefix, found.token)
	if !ok {
		found.token = ""
		return found, nil
	}
	found.grant = handle
	return found.become(g.keeper.Access(ctx, handle))
}

// become puts the access token of a grant in the place of its handle. A handle
// counts in its own place alone: a browser's in the cookie. A session that has
// ended is none: then the token is empty.
func (found presented) become(access session.Access, err error) (presented, error) {
	_, rejected := errors.AsType[*verdict.Rejection](err)
	switch none := errors.Is(err, session.ErrNoGrant) || err == nil && found.session != (access.User != session.ID{}); {
	case none && !found.session:
		return found, verdict.OfReference(verdict.NoGrant, "")
	case none:
		found.token, found.replaced = "", errors.Is(err, session.ErrReplaced)
		return found, nil
	case rejected && found.session:
		found.token = "" // of an issuer where this site logs nobody in any more
		return found, nil
	case err != nil:
		return found, err
	}
	found.token, found.swapped, found.lost, found.issuer, found.subject = access.Token.Reveal(), true, access.Lost, access.Issuer, access.Subject
	return found, nil
}

// strays tells whether one of our tokens stands where none belongs: in the
// request's target, or in a header other than the credential's. Neither the
// upstream nor a log may see it. Browsers send cookies unasked, so those are
// taken off instead.
func (g *Gateway) strays(r *http.Request) bool {
	if g.keeper == nil {
		return false
	}
	if holdsOurs(r.URL.Path) || r.URL.User != nil && holdsOurs(r.URL.User.String()) {
		return true
	}
	if r.URL.RawQuery != "" {
		for pair := range queryPairs(r.URL.RawQuery) {
			name, value, _ := strings.Cut(pair, "=")
			if !g.isPlace(place{query: unescape(name)}) && (holdsOurs(unescape(value)) || holdsOurs(unescape(name))) {
				return true
			}
		}
	}
	for name, values := range r.Header {
		if name == "Authorization" || name == "Cookie" { // find looks at the one, and strayCookie at the other
			continue
		}
		for _, value := range values {
			if holdsOurs(value) && !g.isPlace(place{header: name}) {
				return true
			}
		}
	}
	return false
}

func (g *Gateway) isPlace(where place) bool {
	if where.cookie != "" && g.Login != nil && where.cookie == g.Login.cookieName() {
		return true
	}
	return slices.ContainsFunc(g.places, func(at place) bool {
		return at.header == where.header && at.cookie == where.cookie && at.query == where.query
	})
}

// holdsOurs finds a whole token of ours in a text, also in one that is escaped
// for a URL. Shorter ones, and the same letters inside another token, are none.
func holdsOurs(text string) bool { return holdsAny(text, ourPrefixes[:]) }

// holdsSession finds the handle of a browser's session alone.
func holdsSession(text string) bool { return holdsAny(text, ourPrefixes[:1]) }

var ourPrefixes = [...]string{sessionPrefix, accessPrefix, refreshPrefix}

func holdsAny(text string, prefixes []string) bool {
	return holdsPlain(text, prefixes) || strings.IndexByte(text, '%') >= 0 && holdsPlain(unescape(text), prefixes)
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
		end, whole := len(accessPrefix), len(accessPrefix)+session.HandleLength
		for end < min(len(rest), whole) && isBase64URL(rest[end]) {
			end++
		}
		if end == whole {
			return true
		}
	}
}

// beginsWord tells whether a token may begin here: not behind another letter of
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
