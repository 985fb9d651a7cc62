package as

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// plainRSA is a key that signs by PS256, and the set of it, which does not say
// so.
func plainRSA(t *testing.T) (*jwssign.Key, string) {
	t.Helper()
	key, err := jwssign.Generate("rsa", "PS256")
	if err != nil {
		t.Fatal(err)
	}
	doc := bytes.Replace(jwssign.Set(key), []byte(`"alg":"PS256",`), nil, 1)
	if bytes.Contains(doc, []byte("alg")) {
		t.Fatalf("the key says what it is for: %s", doc)
	}
	return key, string(doc)
}

// What the metadata name goes with the keys: into force with them, over a
// restart with them, and away when the metadata name it no more.
func TestKeysWithoutAnAlgAreForWhatTheMetadataNameAlsoAfterARestart(t *testing.T) {
	key, doc := plainRSA(t)
	signs := endpointMetadata(`"id_token_signing_alg_values_supported":["PS256","ES256"]`)
	synctest.Test(t, func(t *testing.T) {
		issuer, storage := newIssuer(), &memory{}
		issuer.set(formRFC, tokenOnly)
		issuer.set(keysURL, reply(200, doc))
		s := newServer(t, issuer, stored)
		s.Attach(Env{Storage: storage})
		if _, err := prove(t, s, key); token.ReasonOf(err) != token.KeyMismatch {
			t.Errorf("when nobody names its algorithm: %v", err)
		}
		issuer.set(formRFC, signs)
		time.Sleep(2 * Usual)
		synctest.Wait()
		if _, err := prove(t, s, key); err != nil {
			t.Errorf("when the metadata name it: %v", err)
		}
		s.Close()

		again, _, _ := restart(t, storage, refuse)
		if _, err := prove(t, again, key); err != nil {
			t.Errorf("after a restart with the issuer down: %v", err)
		}
		again.Close()

		issuer.set(formRFC, tokenOnly)
		last := newServer(t, issuer, stored)
		last.Attach(Env{Storage: storage})
		if _, err := last.Keys(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := prove(t, last, key); token.ReasonOf(err) != token.KeyMismatch {
			t.Errorf("when they do not name it any more: %v", err)
		}
	})
}
