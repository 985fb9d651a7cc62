package caddyoauth

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/credential"
)

// errorPages reports whether handle_errors makes the page of a refusal. Then r is
// left as it may be seen there, where no rule is any more: the page may come
// from an upstream that trusts what comes from here. It gets no credential that
// proved nothing, and no wish for another protocol, of which the 101 would open
// a tunnel that was never admitted.
//
// Nothing of CONNECT gets there: the proxy sends its body without framing, and
// an upstream reads it as more requests, with any identity headers.
func (g *Gateway) errorPages(r *http.Request) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Errors == nil || len(server.Errors.Routes) == 0 || methodThere(r) == http.MethodConnect {
		return false
	}
	g.prepareForUpstream(r, credential.Presented{})
	delete(r.Header, "Upgrade")
	return true
}

// methodThere is the method that handle_errors sees: Caddy puts back the one
// that came, whatever a handler before us made of it.
func methodThere(r *http.Request) string {
	if came, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return came.Method
	}
	return r.Method
}
