package advice

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// keycloak is what to change at Keycloak, by the names of its own settings;
// "": the token is none of it, or there is nothing to say beyond For.
func keycloak(reason string, t Token, resource string) string {
	iss := t.Claims.String("iss")
	if !strings.Contains(iss, "/realms/") {
		return ""
	}
	client := fmt.Sprintf("%.80q", t.Claims.String("azp"))
	switch reason {
	case string(token.WrongAudience):
		switch {
		case resource != "" && !slices.Contains(t.Claims.Audience(), resource):
			return "Keycloak: add an Audience mapper to a client scope of the client " + client + ", with Included Custom Audience " + resource + ". Caddyfile: resource is compared letter by letter."
		case t.Claims["aud"] == nil && lightweight(t.Claims):
			return "Keycloak: this is a lightweight access token, which says neither aud nor roles. Turn Always use lightweight access token off (Advanced settings of the client " + client + "). Caddyfile: or introspect { lightweight } in the issuer block, which has Keycloak tell the rest."
		}
		return "Keycloak: add an Audience mapper to a client scope of the client " + client + " (Client scopes, Mappers, Add mapper by configuration, Audience): Included Client Audience is the client that stands for this API, whose id audience in the Caddyfile names."
	case string(token.IssuerUnknown):
		if there, here := realmOf(iss), realmOf(t.Issuer); there != "" && there == here {
			return fmt.Sprintf("Keycloak: set hostname (KC_HOSTNAME), so that its tokens name one issuer at whichever address it is asked. Caddyfile: write that one; this token has %.120q.", iss)
		}
	case string(token.Inactive):
		return "If it is new: Keycloak tells a client (since 26.6.2) only of tokens with the client in its aud. Add an Audience mapper with Included Client Audience, the gateway's client; its log says \"is not in the token audience\". Otherwise the token or its session has ended. Client: get a new one."
	}
	return ""
}

// lightweight reports whether a token of Keycloak is a lightweight one. Its jti
// says so (onltro: online, lightweight, by password); those of people have no sub
// either.
func lightweight(claims token.Claims) bool {
	kind, _, found := strings.Cut(claims.String("jti"), ":")
	return found && len(kind) == 6 && kind[2:4] == "lt" || claims["sub"] == nil
}

// realmOf is an issuer's path; "": it has none.
func realmOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.Path, "/")
}
