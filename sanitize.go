package caddyoauth

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/tunnel"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// clean takes off r, first and always, what no upstream may see of a client's,
// also where no token is asked for. Then it refuses requests that the
// upstream would understand in another way than the rules here: what was
// judged would not be what is served.
func (g *Gateway) clean(r *http.Request) error {
	other := g.tunnels.Strip(r.Header)
	g.identity.Strip(r)
	if !g.inFront(r) {
		delete(r.Header, earlyData) // the proxy behind us writes its own
	}
	switch {
	case !policy.IsPlainMethod(r.Method):
		return policy.Ambiguous("method", verdict.AmbiguousMethod, "it is no token, or has a letter in lower case")
	case other && g.ForwardAuth != nil: // what is stripped here, the proxy still has
		return tunnel.Reject("an Upgrade to something else than one WebSocket")
	case r.Method == http.MethodConnect && (g.ForwardAuth != nil || !tunnel.OverCONNECT(r)):
		// Its body would go to the upstream without framing.
		return tunnel.Reject("CONNECT")
	case g.ForwardAuth == nil && tunnel.BodyBeforeFrames(r):
		return tunnel.Reject("a WebSocket that begins with a body")
	}
	if err := g.rules.Check(r); err != nil {
		return err
	}
	if g.early(r) && policy.Changes(r) {
		return rejectEarly()
	}
	return nil
}

const earlyData = "Early-Data"

// early reports whether r came before its TLS handshake was complete (0-RTT):
// an attacker on the way may send it again, and again (RFC 8470 §3). For a
// connection that ends at a proxy in front, that proxy says so, and any value
// counts as 1 (§5.1).
func (g *Gateway) early(r *http.Request) bool {
	return r.TLS != nil && !r.TLS.HandshakeComplete || len(r.Header[earlyData]) > 0 && g.inFront(r)
}

// inFront reports whether r comes from a proxy whose word on Early-Data counts:
// one of trusted_proxies, or one that asks questions. There a client may have
// said it too, which harms that client alone.
func (g *Gateway) inFront(r *http.Request) bool {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted || g.ForwardAuth.MayAsk(r)
}

// rejectEarly has no error code: clients send the same again when the handshake
// is complete, browsers by themselves (RFC 8470 §5.2).
func rejectEarly() *verdict.Rejection {
	return &verdict.Rejection{
		Status: http.StatusTooEarly, Reason: verdict.TooEarly,
		Description: "this could be a replay; send it again when the TLS handshake is complete",
	}
}
