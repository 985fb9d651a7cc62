package caddyoauth

import (
	"fmt"
	"strings"
	"testing"
)

// addressed gives an issuer's metadata these addresses.
func addressed(t *testing.T, paths map[string]string) *grantor {
	t.Helper()
	return newGrantor(t, func(m map[string]any) {
		for name, path := range paths {
			m[name] = m["issuer"].(string) + path
		}
		delete(m, "introspection_endpoint")
		if path := paths["introspection_endpoint"]; path != "" {
			m["introspection_endpoint"] = m["issuer"].(string) + path
		}
	})
}

func TestTheDoctorSaysWhatHydraNeedsAndItsMetadataDoNotTell(t *testing.T) {
	hydra := addressed(t, map[string]string{
		"authorization_endpoint": "/oauth2/auth", "token_endpoint": "/oauth2/token", "revocation_endpoint": "/oauth2/revoke",
	})
	words := "oauth {\nissuer %s {\naudience api\nclient gateway secret {\n%s\n}\n%s\n}\nlogin {\n%s\n}\n}"
	examined(t, fmt.Sprintf(words, hydra.URL, "auth client_secret_post", "introspect", "")).wants(t,
		"warn client: token_endpoint_auth_method", "warn login: is asked for with audience", "warn introspection: at its admin port")
	if d := examined(t, fmt.Sprintf(words, hydra.URL, "auth client_secret_basic", "", "parameter audience api")); strings.Contains(d.raw, "Hydra") {
		t.Errorf("it has nothing to say, and says\n%s", d.raw)
	}
}

func TestTheDoctorTakesKeycloakForNoDex(t *testing.T) {
	const realm = "/protocol/openid-connect"
	keycloak := addressed(t, map[string]string{
		"authorization_endpoint": realm + "/auth", "token_endpoint": realm + "/token", "introspection_endpoint": realm + "/token/introspect",
	})
	if d := examined(t, fmt.Sprintf("oauth %s api", keycloak.URL)); !strings.Contains(d.raw, "answers, and names the issuer") || strings.Contains(d.raw, "Dex") {
		t.Errorf("the doctor says\n%s", d.raw)
	}
}

func TestTheDoctorSaysWhatDexNeedsAndItsMetadataDoNotTell(t *testing.T) {
	dex := addressed(t, map[string]string{
		"authorization_endpoint": "/auth", "token_endpoint": "/token", "introspection_endpoint": "/token/introspect",
	})
	words := "oauth {\nissuer %s {\naudience api\nclient gateway secret {\n%s\n}\n%s\n}\ntoken_endpoint /token {\ngrant_types device_code\npublic_clients tv\ndevice_authorization_endpoint /device\n}\n}"
	examined(t, fmt.Sprintf(words, dex.URL, "auth client_secret_basic", "")).wants(t,
		"warn settings: are ID tokens", "warn client: id and secret in the body")
	if d := examined(t, fmt.Sprintf(words, dex.URL, "auth client_secret_post", "insecure_id_tokens")); strings.Contains(d.raw, "Dex begins") || strings.Contains(d.raw, "Dex's") {
		t.Errorf("it has nothing to say, and says\n%s", d.raw)
	}
}
