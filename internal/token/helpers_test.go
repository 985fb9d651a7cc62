package token

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

const (
	issuer   = "https://login.example.com"
	audience = "api://orders"
)

// noon is when these tests happen; the package has no clock of its own.
var noon = time.Unix(1_700_000_000, 0)

var b64 = base64.RawURLEncoding.EncodeToString

// privates are made once per family: RSA keys take long.
var privates = map[string]func() crypto.Signer{
	"RSA": generated("RS256"), "other RSA": generated("RS256"),
	"P-256": generated("ES256"), "other P-256": generated("ES256"),
	"P-384": generated("ES384"), "P-521": generated("ES512"),
	"Ed25519": generated("EdDSA"),
}

func generated(alg string) func() crypto.Signer {
	return sync.OnceValue(func() crypto.Signer {
		key, err := jwssign.Generate("", alg)
		if err != nil {
			panic(err)
		}
		return key.Private
	})
}

// signer makes a key of a family that signs with alg; kid may be "".
func signer(kid, alg, family string) *jwssign.Key {
	return &jwssign.Key{ID: kid, Alg: alg, Private: privates[family]()}
}

func familyOf(alg string) string {
	if a := algorithms[alg]; a.crv != "" {
		return a.crv
	}
	return "RSA"
}

// k1 is the key that most tests sign with.
func k1() *jwssign.Key { return signer("k1", "ES256", "P-256") }

// absent takes a claim away.
type absent struct{}

// claims is a good payload with some claims put otherwise.
func claims(edits map[string]any) map[string]any {
	c := map[string]any{
		"iss": issuer, "aud": audience, "sub": "alice", "client_id": "app", "jti": "t1",
		"iat": noon.Unix() - 10, "exp": noon.Unix() + 300, "scope": "orders:read orders:write",
	}
	maps.Copy(c, edits)
	for name, v := range edits {
		if v == (absent{}) {
			delete(c, name)
		}
	}
	return c
}

func mint(t testing.TB, key *jwssign.Key, edits map[string]any) string {
	t.Helper()
	raw, err := key.Token("at+jwt", claims(edits))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// mintRaw signs a header and a payload as they stand; an empty one means a good one.
func mintRaw(t testing.TB, key *jwssign.Key, header, payload string) string {
	t.Helper()
	if header == "" {
		header = `{"alg":"` + key.Alg + `","kid":"` + key.ID + `","typ":"at+jwt"}`
	}
	if payload == "" {
		payload = encode(t, claims(nil))
	}
	raw, err := key.Raw([]byte(header), []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func encode(t testing.TB, v any) string {
	t.Helper()
	doc, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func keySet(t testing.TB, keys ...*jwssign.Key) *KeySet {
	t.Helper()
	set, skipped, err := ParseKeySet(jwssign.Set(keys...))
	if err != nil || len(skipped) > 0 {
		t.Fatal(err, skipped)
	}
	return set
}

// jwkOf is the public half with some members put otherwise.
func jwkOf(t testing.TB, key *jwssign.Key, edits map[string]any) string {
	t.Helper()
	members := key.JWK()
	for name, v := range edits {
		members[name] = v
		if v == (absent{}) {
			delete(members, name)
		}
	}
	return encode(t, members)
}

// source is a KeySource that counts what it is asked.
type source struct {
	set, next       *KeySet
	failKeys        error
	failNewer       error
	keys, newer     int
	newerWasAskedOf *KeySet
}

func (s *source) Keys(context.Context) (*KeySet, error) {
	s.keys++
	return s.set, s.failKeys
}

func (s *source) Newer(_ context.Context, set *KeySet) (*KeySet, error) {
	s.newer++
	s.newerWasAskedOf = set
	if s.next == nil {
		return s.set, s.failNewer
	}
	return s.next, s.failNewer
}

// profile takes every algorithm and has k1 as its only key.
func profile(t testing.TB) *Profile {
	t.Helper()
	return &Profile{Issuer: issuer, Audience: []string{audience}, Algorithms: every(t), Keys: keySet(t, k1())}
}

func every(t testing.TB) Algorithms {
	t.Helper()
	all, err := ParseAlgorithms(nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// prove takes a token the whole way at noon.
func prove(p *Profile, raw string) (*Facts, error) { return proveAt(p, raw, noon) }

func proveAt(p *Profile, raw string, now time.Time) (*Facts, error) {
	u, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	return p.Verify(context.Background(), u, now)
}

// wantReason fails unless err is a refusal for that reason; "" means no error.
func wantReason(t testing.TB, err error, want Reason) {
	t.Helper()
	if got := ReasonOf(err); got != want || (want == "" && err != nil) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// parts are the three parts of a compact token.
func parts(raw string) (header, payload, signature string) {
	p := strings.Split(raw, ".")
	return p[0], p[1], p[2]
}
