package policy

import (
	"net/http"
	"slices"

	"github.com/caddyoauth/caddyoauth/internal/tunnel"
)

// Changes reports whether a request may change something: then a cookie alone
// does not prove that its holder wants it. A connection that is upgraded sends
// anything later on, and an upstream may take a GET for the DELETE that a link
// has in its query.
func Changes(r *http.Request) bool {
	if !acts(r.Method) {
		others, err := otherMethods(r)
		return tunnel.Opens(r) || err != nil || slices.ContainsFunc(others, acts)
	}
	return true
}

// acts reports whether a method is not safe (RFC 9110 §9.2.1).
func acts(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}
