package jwssign

import (
	"strings"
	"testing"
)

func TestEachAlgorithmSignsAndPublishesItsKey(t *testing.T) {
	for _, alg := range []string{"RS256", "PS384", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"} {
		key, err := Generate("k1", alg)
		if err != nil {
			t.Fatal(alg, err)
		}
		tok, err := key.Token("at+jwt", map[string]any{"sub": "alice"})
		if err != nil {
			t.Fatal(alg, err)
		}
		if strings.Count(tok, ".") != 2 {
			t.Errorf("%s: %q is not a compact JWS", alg, tok)
		}
		if jwk := key.JWK(); jwk["kty"] == nil || jwk["kid"] != "k1" {
			t.Errorf("%s: JWK %v lacks kty or kid", alg, jwk)
		}
	}
	if _, err := Generate("k1", "HS256"); err == nil {
		t.Error("HS256 made a key")
	}
}
