package caddyoauth

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ownHandler answers a request to one of the gateway's own paths.
type ownHandler = func(http.ResponseWriter, *http.Request) error

// ownPath finds what answers a path of the gateway's own, or nil. Each feature
// that has some knows them; here stands in which order they are asked, and what
// the logs may show.
func (g *Gateway) ownPath(r *http.Request) ownHandler {
	if g.ForwardAuth.IsQuestion(r) {
		if g.endpoint.Handler(r) != nil || g.site.Handler(r) != nil || g.signalsPath(r) != nil { // where proxies hand on what clients send, and do not ask
			return g.refusing(g.ForwardAuth.Misplaced)
		}
		return nil
	}
	if serve := g.endpoint.Handler(r); serve != nil {
		return serve
	}
	if serve := g.site.Handler(r); serve != nil {
		return g.quietly(serve)
	}
	if serve := g.revocations.Handler(r); serve != nil {
		return g.hidingCredentials(serve)
	}
	if serve := g.signalsPath(r); serve != nil {
		return serve
	}
	if serve := g.metadata.Handler(r); serve != nil {
		return g.hidingCredentials(serve)
	}
	return nil
}

// hidingCredentials keeps a request out of the access log that carries a
// credential where that would show it.
func (g *Gateway) hidingCredentials(serve ownHandler) ownHandler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if g.places.Exposes(r) {
			caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
		}
		return serve(w, r)
	}
}
