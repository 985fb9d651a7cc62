package tunnel

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Protocols are the protocols that a request may turn its connection into: a
// WebSocket, and those that the operator named.
//
// Behind the upstream's 101 (RFC 9110 §7.8) the proxy copies bytes, and nothing
// judges. With Upgrade: h2c (RFC 7540 §3.2) those bytes are requests, to any
// path and with any identity headers. The frames of a WebSocket (RFC 6455) are
// none.
type Protocols []string

// Names of RFC 9110 §7.8, and of a field.
const (
	WebSocket     = "websocket"
	HTTP2Settings = "Http2-Settings" // only h2c needs it
)

// Strip takes from h the wish for a protocol that must not pass, and reports
// that there was one. It goes rather than the request: a server is free to
// ignore the field, and curl sends it as a hint.
//
// Exactly one field with exactly one word passes: of several the upstream takes
// one, and the proxy may have looked at another.
func (t Protocols) Strip(h http.Header) (stripped bool) {
	if fields := h["Upgrade"]; len(fields) > 0 && !(len(fields) == 1 && isProtocol(fields[0], WebSocket)) {
		if len(fields) == 1 && slices.ContainsFunc(t, func(name string) bool { return isProtocol(fields[0], name) }) {
			return false
		}
		delete(h, "Upgrade")
		stripped = true
	}
	delete(h, HTTP2Settings)
	return stripped
}

// isProtocol compares names of ASCII (RFC 9110 §7.8); of the same length, no
// other letter folds to one of them.
func isProtocol(text, name string) bool {
	return len(text) == len(name) && strings.EqualFold(text, name)
}

// OverCONNECT reports whether r opens a WebSocket over HTTP/2 or HTTP/3 (RFC
// 8441 §4, RFC 9220 §3): Caddy's proxy makes a GET with Upgrade of that, and
// of no other CONNECT. Each server keeps :protocol in a place of its own.
func OverCONNECT(r *http.Request) bool {
	switch protocol := r.Header[":protocol"]; r.ProtoMajor {
	case 2:
		return len(protocol) == 1 && protocol[0] == WebSocket
	case 3:
		return r.Proto == WebSocket
	}
	return false
}

// BodyBeforeFrames reports whether r opens a WebSocket and has a body, as no
// client's has (RFC 6455 §4.1). Servers know that, switch behind the headers or
// refuse, and some read what comes next as another request.
func BodyBeforeFrames(r *http.Request) bool {
	fields := r.Header["Upgrade"]
	return r.Method != http.MethodConnect && r.ContentLength != 0 && len(fields) > 0 && isProtocol(fields[0], WebSocket)
}

// Opens reports whether r opens a WebSocket, or what else may pass.
func Opens(r *http.Request) bool { return len(r.Header["Upgrade"]) > 0 || OverCONNECT(r) }

// Reject refuses a request that would turn its connection into something else
// (400). detail is for the log.
func Reject(detail string) *verdict.Rejection {
	return &verdict.Rejection{
		Status: http.StatusBadRequest, Reason: verdict.TunnelRefused, Code: verdict.InvalidRequest,
		Description: "no other protocol is spoken here", Detail: detail,
	}
}

// Check looks at insecure_upgrades: names of RFC 9110 §7.8.
func Check(names []string) error {
	for _, name := range names {
		protocol, version, versioned := strings.Cut(name, "/")
		switch {
		case isProtocol(name, WebSocket):
			return fmt.Errorf("insecure_upgrades %s: a WebSocket passes anyway; leave it out", name)
		case name == "*" || !httpguts.ValidHeaderFieldName(protocol) || versioned && !httpguts.ValidHeaderFieldName(version):
			return fmt.Errorf("insecure_upgrades: %q is not the name of one protocol, such as h2c", name)
		}
	}
	return nil
}
