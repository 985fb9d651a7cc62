package verdict

import (
	"strings"
	"testing"
)

func TestAnIssuerThatIsNearlyAConfiguredOneIsSaidToBe(t *testing.T) {
	configured := []string{"https://other.example/a", "http://localhost:8080/realms/shop"}
	for iss, want := range map[string]string{
		"http://localhost:8080/realms/shop/": "by a slash at the end alone",
		"http://keycloak:8080/realms/shop":   "by the host alone",
		"http://localhost/realms/shop":       "by the port alone",
		"https://localhost:8080/realms/shop": "by the scheme alone",
		"https://stranger.example":           "",
	} {
		detail := DetailOf(UnknownIssuer(iss, configured))
		if strings.Contains(detail, "differs") != (want != "") || !strings.Contains(detail, want) {
			t.Errorf("%s: %s", iss, detail)
		}
	}
}
