package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A lightweight token of Keycloak has neither aud nor roles: its answer has them.
func TestALightweightTokenOfKeycloakPassesWithWhatItsIntrospectionTells(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	block := func(roles string) string {
		return fmt.Sprintf(`oauth {
			issuer %s {
				audience orders
				client orders orders-secret
				introspect {
					lightweight
				}
			}
			require scope orders:read
			%s
			copy_claims sub>X-User-Id preferred_username>X-User-Name scope>X-Scope
		}`, r.url, roles)
	}
	g := startGateway(t, startUpstream(t), block(""))
	light := r.robotToken("lightweight")
	for range 2 { // the second is remembered
		saw := get(t, g.url("/"), light).seen(t).Header
		if saw.Get("X-User-Id") == "" || !strings.Contains(saw.Get("X-Scope"), "orders:read") {
			t.Errorf("the upstream saw %v", saw)
		}
	}
	if said, _, code := runCommand(t, g.home, light, g.binary, "oauth", "explain", "--config", g.config, "--adapter", "caddyfile"); code != 0 || !strings.Contains(said, "(lightweight)") {
		t.Errorf("explain ends with %d:\n%s", code, said)
	}
	get(t, g.url("/"), r.robotToken("stranger")).wantChallenge(t, http.StatusUnauthorized, "invalid_token") // is asked about, and not for us
	g = startGateway(t, startUpstream(t), block("require claim realm_access.roles nobody-has-this"))
	if a := get(t, g.url("/"), light); a.status != http.StatusForbidden {
		t.Errorf("without the role: %d %s", a.status, a.body)
	}
}
