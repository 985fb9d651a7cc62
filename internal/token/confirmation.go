package token

import "strings"

// checkBound refuses a token that is bound to a key of its client (RFC 7800
// §3.1, RFC 8705 §3.1, RFC 9449 §6): the client that presents it has to prove
// that the key is theirs, which is not looked at here. Taken as a Bearer token
// it would be good for a thief, and stolen ones are what the binding is
// against. The claims are a JWT's, or an issuer's answer.
func checkBound(c Claims) error {
	if _, has := c["cnf"]; has { // null as well: whatever it means, it is no Bearer token's
		return refuse(BoundToken, "the claim cnf binds it to a key of its client")
	}
	if typ := c.String("typ"); strings.EqualFold(typ, "DPoP") { // Keycloak says so too
		return refuse(BoundToken, "the claim typ is "+typ)
	}
	return nil
}
