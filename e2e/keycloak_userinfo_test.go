package e2e

import (
	"fmt"
	"testing"
)

// Keycloak's userinfo endpoint takes access tokens for an API, and signs its
// answers for clients that want it. It takes no lightweight access tokens; what
// those leave out, ID tokens have.
func TestWhatKeycloakSaysOfAUserCountsForTheSession(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	for client, row := range map[string]struct {
		claims     string
		attributes map[string]string
	}{
		"site-userinfo":        {"userinfo", nil},
		"site-userinfo-signed": {"userinfo", map[string]string{"user.info.response.signature.alg": "RS256"}},
		"site-lightweight":     {"id_token", map[string]string{"client.use.lightweight.access.token.enabled": "true"}},
	} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			r.client(client, g.url(""), row.attributes)
			g.serve(g.site(g.port, fmt.Sprintf(`oauth {
				issuer %s {
					insecure_any_audience
					client %s %s-secret
				}
				login {
					claims %s
				}
				session {
					store memory
				}
				copy_claims sub>X-User-Id preferred_username>X-User-Name
			}`, r.url, client, client, row.claims), startUpstream(t)))
			page, at := newKeycloakGuest(t).logIn(g.url("/"), "alice")
			saw := wantBack(t, page, at, g.url("/"), "alice")
			_, claims := tokenParts(t, saw.token())
			if _, named := claims["preferred_username"]; named == (client == "site-lightweight") {
				t.Errorf("the access token itself has a name: %v", named)
			}
		})
	}
}
