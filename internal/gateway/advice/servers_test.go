package advice

import (
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// The claims are those that each server wrote.
var (
	hydras  = token.Claims{"aud": []any{}, "client_id": "c", "ext": map[string]any{}, "scp": []any{"a"}, "sub": "c"}
	dexs    = token.Claims{"aud": "orders-app", "at_hash": "x", "sub": "CgVhbGljZRIFbG9jYWw"}
	springs = token.Claims{"aud": "robot", "sub": "robot", "scope": []any{"a"}, "jti": "x", "nbf": 1.0}
)

func TestAdviceNamesTheSettingOfTheServerThatMadeTheToken(t *testing.T) {
	for _, test := range []struct {
		reason string
		claims token.Claims
		want   string
	}{
		{string(token.WrongAudience), hydras, "Ory Hydra: put this API into the client's list audience"},
		{verdict.MissingClaim, hydras, "ext.<name>"},
		{string(token.WrongAudience), dexs, "Dex: aud is the id of the client"},
		{string(token.WrongAudience), springs, "OAuth2TokenCustomizer"},
		{string(token.WrongAudience), token.Claims{"aud": "x", "sub": "alice"}, "Client: ask for a token for this API"},
		{string(token.Expired), hydras, "Client: get a new token"},
	} {
		if got := For(test.reason, Token{Claims: test.claims}, ""); !strings.Contains(got, test.want) {
			t.Errorf("%s of %v: %q, want %q in it", test.reason, test.claims, got, test.want)
		}
	}
}

func TestATokenOfAnotherServerIsNotTakenForOneThatIsKnown(t *testing.T) {
	for name, claims := range map[string]token.Claims{
		"none":                       nil,
		"a scope list with a client": {"scope": []any{"a"}, "client_id": "c", "jti": "x", "nbf": 1.0},
		"ext alone":                  {"ext": map[string]any{}},
		"a subject that is base64":   {"sub": "CgVhbGljZQ"},
		"a short subject":            {"sub": "Cg"},
		"a subject cut off":          {"sub": "Cv8A"},
	} {
		if ofHydra(claims) || ofDex(claims) || ofSpring(claims) {
			t.Errorf("%s: taken for a server that is known", name)
		}
	}
}
