package caddyoauth

import (
	"net/http"
	"slices"

	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/resource"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// describe makes the document about the resource. It says nothing that is not
// so: scopes are those that every request needs, since clients ask for all that
// they find here, and those that the configuration adds; what only some requests
// need, the challenge for those tells.
func (g *Gateway) describe() *resource.Metadata {
	if g.Resource == "" {
		return nil
	}
	doc := resource.Document{Resource: g.Resource, Servers: g.validator.Addresses(), Name: g.realm, Scopes: slices.Clone(g.ScopesSupported)}
	for _, q := range g.ofEachToken() {
		if q.Everywhere() {
			doc.Scopes = append(doc.Scopes, q.Scope...)
		}
	}
	doc.Methods = g.places.Methods()
	return resource.New(doc)
}

// ofEachToken are the requirements that are about tokens of every issuer.
func (g *Gateway) ofEachToken() []*policy.Requirement {
	if len(g.Issuer) == 1 {
		return g.rules.All
	}
	return g.Require
}

// challengeFor is what a rejection asks for. Where clients find their way from
// the challenge to a token it names the scope that the request needs (RFC 6750
// §3), so that the first token is enough. It tells no more than the answer to a
// token without that scope.
func (g *Gateway) challengeFor(r *http.Request, rejection *verdict.Rejection) string {
	asks := rejection.Status == http.StatusUnauthorized && (rejection.Code == "" || rejection.Code == verdict.InvalidToken)
	if g.metadata != nil && asks {
		with := *rejection
		with.Scope = g.rules.Needed(r, g.ofEachToken())
		rejection = &with
	}
	return rejection.Challenge(g.realm, g.metadata.Address())
}
