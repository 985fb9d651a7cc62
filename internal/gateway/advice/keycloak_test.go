package advice

import (
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

const realm = "https://keycloak.example.com/realms/main"

func TestAdviceNamesKeycloaksOwnSetting(t *testing.T) {
	full := token.Claims{"iss": realm, "sub": "u", "azp": "robot", "typ": "Bearer", "aud": "account"}
	for _, test := range []struct {
		what, reason string
		claims       token.Claims
		issuer       string
		resource     string
		want         string
	}{
		{"aud is another client's", string(token.WrongAudience), full, realm, "", `add an Audience mapper to a client scope of the client "robot"`},
		{"the resource is missing", string(token.WrongAudience), full, realm, "https://api.example.com", "Included Custom Audience https://api.example.com"},
		{"a lightweight token", string(token.WrongAudience), token.Claims{"iss": realm, "azp": "robot", "typ": "Bearer"}, realm, "", "Always use lightweight access token"},
		{"a lightweight token of a service", string(token.WrongAudience), token.Claims{"iss": realm, "sub": "u", "azp": "robot", "jti": "trltcc:7d"}, realm, "", "Always use lightweight access token"},
		{"a token without aud", string(token.WrongAudience), token.Claims{"iss": realm, "sub": "u", "azp": "robot", "jti": "trrtcc:7d"}, realm, "", "add an Audience mapper"},
		{"another host name", string(token.IssuerUnknown), token.Claims{"iss": "http://keycloak:8080/realms/main"}, realm, "", "KC_HOSTNAME"},
		{"another realm", string(token.IssuerUnknown), token.Claims{"iss": "https://keycloak.example.com/realms/other"}, realm, "", "get the token from a configured issuer"},
		{"no issuer to compare with", string(token.IssuerUnknown), full, "", "", "configure it"},
		{"inactive", string(token.Inactive), full, realm, "", "since 26.6.2"},
		{"another reason", string(token.Expired), full, realm, "", "Client: get a new token"},
		{"another server's", string(token.WrongAudience), token.Claims{"iss": "https://login.example.com", "aud": "x"}, realm, "", "Client: ask for a token for this API"},
	} {
		if got := For(test.reason, Token{Claims: test.claims, Issuer: test.issuer}, test.resource); !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q in it", test.what, got, test.want)
		}
	}
}
