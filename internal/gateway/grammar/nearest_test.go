package grammar

import "testing"

func TestTheWordThatWasMeantIsFoundAndNoOther(t *testing.T) {
	known := []string{"issuer", "audience", "algorithms", "jwks", "copy_claims", "max", "idle", "key", "keys"}
	for word, want := range map[string]string{
		"isuer": "issuer", "issuers": "issuer", "Audience": "audience", "copy-claims": "copy_claims", "algorithm": "algorithms",
		"issuer_url": "issuer", "jwks_uri": "jwks", "idel": "idle", "kez": "key",
		"reverse_proxy": "", "x": "", "scope": "", "": "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
