package caddyoauth

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/resource"
)

// ownHandler answers a request to one of the gateway's own paths.
type ownHandler = func(http.ResponseWriter, *http.Request) error

// ownPath finds what answers a path of the gateway's own, or nil. Each feature
// that has some knows them; here stands in which order they are asked, and what
// the logs may show.
func (g *Gateway) ownPath(r *http.Request) ownHandler {
	if g.ForwardAuth.IsQuestion(r) {
		if g.endpoint.Handler(r) != nil { // where proxies hand on what clients send, and do not ask
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

// describe makes the document about the resource. It says nothing that is not
// so: scopes are those that every request needs, since clients ask for all that
// they find here; what only some requests need, the challenge for those tells.
func (g *Gateway) describe() *resource.Metadata {
	if g.Resource == "" {
		return nil
	}
	doc := resource.Document{Resource: g.Resource, Servers: g.validator.Addresses(), Name: g.realm}
	always := g.Require
	if len(g.Issuer) == 1 {
		always = g.rules.All // what each token needs; with several issuers those of one do not
	}
	for _, q := range always {
		if q.Everywhere() {
			doc.Scopes = append(doc.Scopes, q.Scope...)
		}
	}
	doc.Methods = g.places.Methods()
	return resource.New(doc)
}
