package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

// Rule 9: which algorithms there are, and which key may use them.

func TestEveryAlgorithmVerifiesWithAGoodKey(t *testing.T) {
	names := strings.Fields(AlgorithmNames)
	if len(names) != len(algorithms) {
		t.Fatalf("%d names, %d algorithms", len(names), len(algorithms))
	}
	for _, alg := range names {
		for what, edits := range map[string]map[string]any{"with its own alg": nil, "without an alg": {"alg": absent{}}} {
			t.Run(alg+" by a key "+what, func(t *testing.T) {
				key := signer("k1", alg, familyOf(alg))
				p := profile(t)
				p.Keys = setOf(t, jwkOf(t, key, edits))
				p.Algorithms = only(t, alg)
				raw := mint(t, key, nil)
				facts, err := prove(p, raw)
				wantReason(t, err, "")
				if err == nil && facts.Key.ID != "k1" {
					t.Error("verified by another key")
				}
				h, _, s := parts(raw)
				_, other, _ := parts(mint(t, key, map[string]any{"sub": "mallory"}))
				_, err = prove(p, h+"."+other+"."+s)
				wantReason(t, err, SignatureFailed)
			})
		}
	}
}

func TestEveryByteOfASignatureCounts(t *testing.T) {
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		key := signer("k1", alg, familyOf(alg))
		p := profile(t)
		p.Keys = keySet(t, key)
		h, pay, s := parts(mint(t, key, nil))
		signature, err := decode(s)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(signature); i += 3 {
			spoilt := slices.Clone(signature)
			spoilt[i] ^= 1 << (i % 8)
			_, err := prove(p, h+"."+pay+"."+b64(spoilt))
			wantReason(t, err, SignatureFailed)
		}
	}
}

func TestAnAlgorithmOutsideTheListIsRefusedBeforeAKeyIsLookedUp(t *testing.T) {
	for _, alg := range []string{
		"none", "None", "NONE", "nOnE", "none ", "", " ", "HS256", "HS384", "HS512", "hs256", "rs256", "es256", "eddsa",
		"RS256 ", "RS1", "RSA1_5", "RSA-OAEP", "ES256K", "ES224", "ES521", "Ed448", "ed25519", "Ed25519ph", "dir", "A128KW", "ECDH-ES",
	} {
		t.Run(alg, func(t *testing.T) {
			src := &source{set: keySet(t, k1())}
			p := profile(t)
			p.Keys = src
			_, err := prove(p, mintRaw(t, k1(), `{"alg":"`+alg+`","kid":"k1"}`, ""))
			wantReason(t, err, AlgRefused)
			if src.keys+src.newer != 0 {
				t.Error("keys were looked up")
			}
		})
	}
}

func TestAnAlgorithmThatTheIssuerDoesNotUseIsRefused(t *testing.T) {
	key := signer("k1", "RS256", "RSA")
	p := profile(t)
	p.Keys = setOf(t, jwkOf(t, key, map[string]any{"alg": absent{}}))
	p.Algorithms = only(t, "PS256 RS384")
	_, err := prove(p, mint(t, key, nil))
	wantReason(t, err, AlgRefused)
}

// A verifier that takes the algorithm from the token makes a MAC with the
// public key, which everybody has.
func TestAPublicKeyIsNoHMACSecret(t *testing.T) {
	for _, family := range []string{"RSA", "P-256", "Ed25519"} {
		public := privates[family]().Public()
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		key := &jwssign.Key{ID: "k1", Alg: map[string]string{"RSA": "RS256", "P-256": "ES256", "Ed25519": "EdDSA"}[family], Private: privates[family]()}
		for form, secret := range map[string][]byte{
			"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
			"DER": der,
			"JWK": []byte(jwkOf(t, key, nil)),
		} {
			t.Run(family+" as "+form, func(t *testing.T) {
				input := b64([]byte(`{"alg":"HS256","kid":"k1"}`)) + "." + b64([]byte(encode(t, claims(nil))))
				mac := hmac.New(sha256.New, secret)
				mac.Write([]byte(input))
				p := profile(t)
				p.Keys = keySet(t, key)
				_, err := prove(p, input+"."+b64(mac.Sum(nil)))
				wantReason(t, err, AlgRefused)
			})
		}
	}
}

func TestTheAlgorithmMustFitTheKey(t *testing.T) {
	for name, row := range map[string]struct {
		family, keyAlg, tokenAlg string // keyAlg "": the key names none
		want                     Reason
	}{
		"ES256 with a P-384 key":                  {"P-384", "", "ES256", KeyMismatch},
		"ES256 with a P-521 key":                  {"P-521", "", "ES256", KeyMismatch},
		"ES384 with a P-256 key":                  {"P-256", "", "ES384", KeyMismatch},
		"ES512 with a P-256 key":                  {"P-256", "", "ES512", KeyMismatch},
		"RS256 with a key for PS256":              {"RSA", "PS256", "RS256", KeyMismatch},
		"PS256 with a key for RS256":              {"RSA", "RS256", "PS256", KeyMismatch},
		"RS512 with a key for RS256":              {"RSA", "RS256", "RS512", KeyMismatch},
		"RS256 with an RSA key that names no alg": {"RSA", "", "RS256", ""},
		"PS384 with an RSA key that names no alg": {"RSA", "", "PS384", KeyMismatch},
		"Ed25519 with a key for EdDSA":            {"Ed25519", "EdDSA", "Ed25519", ""},
		"EdDSA with a key for Ed25519":            {"Ed25519", "Ed25519", "EdDSA", ""},
		"EdDSA with an Ed25519 key for anything":  {"Ed25519", "", "EdDSA", ""},
		"Ed25519 with a key that names no alg":    {"Ed25519", "", "Ed25519", ""},
		"RS256 with a key that says so":           {"RSA", "RS256", "RS256", ""},
		"ES512 with a key that says so":           {"P-521", "ES512", "ES512", ""},
		"ES384 with a P-384 key for anything":     {"P-384", "", "ES384", ""},
		"PS512 with an RSA key that is for PS512": {"RSA", "PS512", "PS512", ""},
	} {
		t.Run(name, func(t *testing.T) {
			// The signature itself is right: only the fit is at stake.
			key := signer("k1", row.tokenAlg, row.family)
			edits := map[string]any{"alg": row.keyAlg}
			if row.keyAlg == "" {
				edits["alg"] = absent{}
			}
			src := &source{set: setOf(t, jwkOf(t, key, edits))}
			p := profile(t)
			p.Keys = src
			_, err := prove(p, mint(t, key, nil))
			wantReason(t, err, row.want)
			if src.newer != 0 {
				t.Error("the kid is known, and a newer set was asked for")
			}
		})
	}
}

// An RSA key that names no alg verified all six names of RSA: an attacker who
// can make a signature by the weakest of them had a token. One key is for one
// algorithm, unless those who may say otherwise do (RFC 8725 §3.1).
func TestAnRSAKeyWithoutAnAlgIsForWhatConfigurationOrMetadataNameAndElseForRS256(t *testing.T) {
	rsaAlgs := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	for name, row := range map[string]struct {
		configured, metadata string
		taken                string
	}{
		"nobody":                              {"", "", "RS256"},
		"the metadata":                        {"", "PS384 ES256", "PS384"},
		"the metadata, several":               {"", "RS256 PS256", "RS256 PS256"},
		"the metadata, none of RSA":           {"", "ES256 HS256 none", "RS256"},
		"algorithms":                          {"PS256", "", "PS256"},
		"algorithms, before the metadata":     {"PS512", "RS256", "PS512"},
		"algorithms, all of them by name":     {AlgorithmNames, "", "RS256 RS384 RS512 PS256 PS384 PS512"},
		"algorithms, none of RSA":             {"ES256", "RS256", ""},
		"odd names in the metadata are none":  {"", "rs256 PS256x RSA-OAEP", "RS256"},
		"an empty name in the metadata, too":  {"", "RS512", "RS512"},
		"algorithms with EC beside it":        {"ES256 RS384", "PS256", "RS384"},
		"metadata that name every one of RSA": {"", strings.Join(rsaAlgs, " "), strings.Join(rsaAlgs, " ")},
	} {
		for _, alg := range rsaAlgs {
			for _, kid := range []string{"k1", ""} {
				key := signer(kid, alg, "RSA")
				doc := `{"keys":[` + jwkOf(t, key, map[string]any{"alg": absent{}}) + `]}`
				set, _, err := ParseKeySet([]byte(doc), append(strings.Fields(row.metadata), "")...)
				if err != nil {
					t.Fatal(err)
				}
				p := profile(t)
				p.Algorithms, p.Keys = only(t, row.configured), Replace(setOf(t, jwkOf(t, k1(), nil)), set)
				_, err = prove(p, mint(t, key, nil))
				if taken := slices.Contains(strings.Fields(row.taken), alg); taken != (err == nil) {
					t.Errorf("%s: %s, kid %q: %v; taken are %q", name, alg, kid, err, row.taken)
				}
				if infos := set.InfosFor(p.Algorithms); len(infos) != 1 || !infos[0].Plain || slices.Contains(infos[0].Algorithms, alg) != slices.Contains(strings.Fields(row.taken), alg) {
					t.Errorf("%s: operators are told %+v", name, infos)
				}
			}
		}
	}
}

// The set may be older than a key for the token's algorithm that is there now.
func TestATokenWithoutAKidThatNoPlainKeyIsForAsksForNewerKeys(t *testing.T) {
	plain := jwkOf(t, signer("", "RS256", "RSA"), map[string]any{"alg": absent{}})
	src := &source{set: setOf(t, plain)}
	p := profile(t)
	p.Keys = src
	_, err := prove(p, mint(t, signer("", "PS256", "RSA"), nil))
	if wantReason(t, err, KeyUnknown); src.newer != 1 || !strings.Contains(err.Error(), "RS256") {
		t.Errorf("asked %d times for newer keys; %v", src.newer, err)
	}
}

func TestAKeyOfAnotherTypeNeverFits(t *testing.T) {
	for alg := range algorithms {
		for _, family := range []string{"RSA", "P-256", "P-384", "P-521", "Ed25519"} {
			key := &jwssign.Key{ID: "k1", Private: privates[family]()}
			parsed, err := ParseKey(jwkOf(t, key, map[string]any{"alg": absent{}}))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := parsed.fits(alg), familyOf(alg) == family; got != want {
				t.Errorf("%s with a %s key: fits is %t", alg, family, got)
			}
		}
	}
}

func TestAlgorithmNamesOfAConfig(t *testing.T) {
	for _, bad := range []string{"HS256", "HS512", "none", "NONE", "", "es256", "Ed448", "ES256K", "RS256 "} {
		if set, err := ParseAlgorithms([]string{"ES256", bad}); err == nil || set != 0 {
			t.Errorf("%q is taken", bad)
		}
	}
	if _, err := ParseAlgorithms([]string{"HS256"}); err == nil || !strings.Contains(err.Error(), "HMAC") {
		t.Errorf("%v does not say that HMAC is the reason", err)
	}
	all := every(t)
	for name := range algorithms {
		if !all.has(name) || !only(t, name).has(name) {
			t.Errorf("%s is missing", name)
		}
	}
	if only(t, "ES256").has("RS256") || !only(t, "Ed25519").has("EdDSA") {
		t.Error("a set has other members than its names")
	}
}

func TestVerifyUsesTheHashOfTheAlgorithm(t *testing.T) {
	key, err := ParseKey(jwkOf(t, signer("", "RS256", "RSA"), map[string]any{"alg": absent{}}))
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		signature, err := signer("", alg, "RSA").Sign([]byte("signed"))
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
			if err := key.verify(other, []byte("signed"), signature); (err == nil) != (alg == other) {
				t.Errorf("a signature by %s, verified as %s: %v", alg, other, err)
			}
		}
	}
}

// only makes a set of the algorithms named, parted by spaces.
func only(t *testing.T, names string) Algorithms {
	t.Helper()
	set, err := ParseAlgorithms(strings.Fields(names))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// setOf is the key set of some JWK texts, which all must be good.
func setOf(t testing.TB, jwks ...string) *KeySet {
	t.Helper()
	set, skipped, err := ParseKeySet([]byte(`{"keys":[` + strings.Join(jwks, ",") + `]}`))
	if err != nil || len(skipped) > 0 {
		t.Fatal(err, skipped)
	}
	return set
}
