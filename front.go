package caddyoauth

import (
	"net/http"
	"slices"

	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// clean takes off r, first and always, what no upstream may see of a client's,
// also where nobody has to prove anything. Then it refuses requests that the
// upstream would understand in another way than the rules here: what was
// judged would not be what is served.
func (g *Gateway) clean(r *http.Request) error {
	other := g.tunnels.strip(r.Header)
	g.identity.Strip(r)
	if !g.inFront(r) {
		delete(r.Header, earlyData) // the proxy behind us writes its own
	}
	switch {
	case !policy.IsPlainMethod(r.Method):
		return policy.Ambiguous("method", verdict.AmbiguousMethod, "it is no token, or has a letter in lower case")
	case other && g.ForwardAuth != nil: // what is stripped here, the proxy still has
		return rejectTunnel("an Upgrade to something else than one WebSocket")
	case r.Method == http.MethodConnect && (g.ForwardAuth != nil || !overCONNECT(r)):
		// Its body would go to the upstream without framing.
		return rejectTunnel("CONNECT")
	case g.ForwardAuth == nil && bodyBeforeFrames(r):
		return rejectTunnel("a WebSocket that begins with a body")
	}
	if err := g.rules.Check(r); err != nil {
		return err
	}
	if g.early(r) && changes(r) {
		return rejectEarly()
	}
	return nil
}

// changes reports whether a request may change something: then a cookie alone
// does not prove that its holder wants it. A connection that is upgraded sends
// anything later on, and an upstream may take a GET for the DELETE that a link
// has in its query.
func changes(r *http.Request) bool {
	if !acts(r.Method) {
		others, err := policy.OtherMethods(r)
		return upgrades(r) || err != nil || slices.ContainsFunc(others, acts)
	}
	return true
}

// acts tells methods that are not safe (RFC 9110 §9.2.1).
func acts(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}
