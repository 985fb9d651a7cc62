package token

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

// Rule 13: which keys are taken at all.

func keyOf(family string) *jwssign.Key {
	return &jwssign.Key{ID: "k1", Alg: map[string]string{"RSA": "RS256", "P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}[family], Private: privates[family]()}
}

// modulus is an odd number of exactly that many bits.
func modulus(bits uint) string {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return b64(n.SetBit(n, 0, 1).Bytes())
}

func TestAKeyIsRefusedThatCouldNotProveAnything(t *testing.T) {
	ones, zeros := bytes.Repeat([]byte{0xff}, 32), make([]byte, 32)
	for name, row := range map[string]struct {
		family string
		edits  map[string]any
	}{
		"RSA of 1024 bits":                  {"RSA", map[string]any{"n": modulus(1024)}},
		"RSA of 2047 bits":                  {"RSA", map[string]any{"n": modulus(2047)}},
		"RSA of 2047 bits with zeros ahead": {"RSA", map[string]any{"n": b64(append(make([]byte, 8), bytes.Repeat([]byte{0x7f}, 255)...))}},
		"RSA over 8192 bits":                {"RSA", map[string]any{"n": modulus(8200)}},
		"RSA with an even modulus":          {"RSA", map[string]any{"n": b64(append(bytes.Repeat([]byte{0xff}, 255), 0xfe))}},
		"RSA with a modulus of zero":        {"RSA", map[string]any{"n": b64(make([]byte, 256))}},
		"RSA with an empty modulus":         {"RSA", map[string]any{"n": ""}},
		"RSA without a modulus":             {"RSA", map[string]any{"n": absent{}}},
		"RSA without an exponent":           {"RSA", map[string]any{"e": absent{}}},
		"RSA with an empty exponent":        {"RSA", map[string]any{"e": ""}},
		"RSA with an exponent of 0":         {"RSA", map[string]any{"e": b64([]byte{0})}},
		"RSA with an exponent of 1":         {"RSA", map[string]any{"e": b64([]byte{1})}},
		"RSA with an exponent of 2":         {"RSA", map[string]any{"e": b64([]byte{2})}},
		"RSA with an even exponent":         {"RSA", map[string]any{"e": b64([]byte{1, 0, 0})}},
		"RSA with an exponent of 33 bits":   {"RSA", map[string]any{"e": b64([]byte{1, 0, 0, 0, 1})}},
		"RSA with 2^64+3 as exponent":       {"RSA", map[string]any{"e": b64([]byte{1, 0, 0, 0, 0, 0, 0, 0, 3})}},
		"RSA with n a number":               {"RSA", map[string]any{"n": 12345}},
		"RSA with e a number":               {"RSA", map[string]any{"e": 65537}},
		"RSA with n padded":                 {"RSA", map[string]any{"n": modulus(2048) + "=="}},
		"RSA with n in standard base64":     {"RSA", map[string]any{"n": strings.Repeat("+/+/", 90)}},
		"RSA with a line feed in n":         {"RSA", map[string]any{"n": "\n" + modulus(2048)}},
		"RSA under a folded name":           {"RSA", map[string]any{"n": absent{}, "N": modulus(2048)}},
		"kty under a folded name":           {"RSA", map[string]any{"kty": absent{}, "KTY": "RSA"}},
		"kty in another case":               {"RSA", map[string]any{"kty": "rsa"}},
		"kty a list":                        {"RSA", map[string]any{"kty": []string{"RSA"}}},
		"no kty":                            {"P-256", map[string]any{"kty": absent{}}},
		"an unknown kty":                    {"P-256", map[string]any{"kty": "AKP"}},
		"an oct key":                        {"P-256", map[string]any{"kty": "oct", "k": "AAAA"}},
		"an EC key that says RSA":           {"P-256", map[string]any{"kty": "RSA"}},
		"an EC key that says OKP":           {"P-256", map[string]any{"kty": "OKP"}},
		"an RSA key that says EC":           {"RSA", map[string]any{"kty": "EC"}},
		"EC with a point off its curve":     {"P-256", map[string]any{"y": b64(ones[:31]) + "A"}},
		"EC with x and y of 32 bytes wrong": {"P-256", map[string]any{"x": b64(append(zeros[:31:31], 1)), "y": b64(append(zeros[:31:31], 1))}},
		"EC at infinity":                    {"P-256", map[string]any{"x": b64(zeros), "y": b64(zeros)}},
		"EC with x over the field":          {"P-256", map[string]any{"x": b64(ones)}},
		"EC with x of 31 bytes":             {"P-256", map[string]any{"x": b64(ones[:31])}},
		"EC with x of 33 bytes":             {"P-256", map[string]any{"x": b64(append([]byte{0}, ones...))}},
		"EC with an empty y":                {"P-256", map[string]any{"y": ""}},
		"EC without a y":                    {"P-256", map[string]any{"y": absent{}}},
		"EC without a curve":                {"P-256", map[string]any{"crv": absent{}}},
		"EC with another curve's name":      {"P-256", map[string]any{"crv": "P-384", "alg": absent{}}},
		"EC on secp256k1":                   {"P-256", map[string]any{"crv": "secp256k1", "alg": absent{}}},
		"EC on P-224":                       {"P-256", map[string]any{"crv": "P-224", "alg": absent{}}},
		"EC on Ed25519":                     {"P-256", map[string]any{"crv": "Ed25519", "alg": absent{}}},
		"EC with crv a number":              {"P-256", map[string]any{"crv": 256, "alg": absent{}}},
		"Ed25519 of 31 bytes":               {"Ed25519", map[string]any{"x": b64(ones[:31])}},
		"Ed25519 of 33 bytes":               {"Ed25519", map[string]any{"x": b64(append([]byte{0}, ones...))}},
		"Ed25519 of no bytes":               {"Ed25519", map[string]any{"x": ""}},
		"Ed448":                             {"Ed25519", map[string]any{"crv": "Ed448", "x": b64(bytes.Repeat(ones[:19], 3))}},
		"X25519":                            {"Ed25519", map[string]any{"crv": "X25519"}},
		"OKP on P-256":                      {"Ed25519", map[string]any{"crv": "P-256", "alg": absent{}}},
		"use enc":                           {"P-256", map[string]any{"use": "enc"}},
		"use SIG":                           {"P-256", map[string]any{"use": "SIG"}},
		"use a list":                        {"P-256", map[string]any{"use": []string{"sig"}}},
		"key_ops without verify":            {"P-256", map[string]any{"key_ops": []string{"encrypt", "wrapKey"}}},
		"key_ops with a number":             {"P-256", map[string]any{"key_ops": []any{"verify", 1}}},
		"key_ops an object":                 {"P-256", map[string]any{"key_ops": map[string]any{"verify": true}}},
		"key_ops a string":                  {"P-256", map[string]any{"key_ops": "verify"}},
		"an alg nobody knows":               {"P-256", map[string]any{"alg": "ES224"}},
		"an alg for encryption":             {"RSA", map[string]any{"alg": "RSA-OAEP"}},
		"alg HS256":                         {"RSA", map[string]any{"alg": "HS256"}},
		"alg none":                          {"RSA", map[string]any{"alg": "none"}},
		"alg a list":                        {"RSA", map[string]any{"alg": []string{"RS256"}}},
		"an alg of another type":            {"RSA", map[string]any{"alg": "ES256"}},
		"an alg of another curve":           {"P-256", map[string]any{"alg": "ES384"}},
		"kid a number":                      {"P-256", map[string]any{"kid": 1}},
		"a private EC key":                  {"P-256", map[string]any{"d": b64(zeros)}},
		"RSA with a prime":                  {"RSA", map[string]any{"p": "AAAA"}},
		"RSA with q":                        {"RSA", map[string]any{"q": "AAAA"}},
		"RSA with dp":                       {"RSA", map[string]any{"dp": "AAAA"}},
		"RSA with dq":                       {"RSA", map[string]any{"dq": "AAAA"}},
		"RSA with qi":                       {"RSA", map[string]any{"qi": "AAAA"}},
		"RSA with further primes":           {"RSA", map[string]any{"oth": []any{map[string]any{"r": "AAAA"}}}},
		"a public key with a secret":        {"RSA", map[string]any{"k": "AAAA"}},
	} {
		t.Run(name, func(t *testing.T) {
			if key, err := ParseKey(jwkOf(t, keyOf(row.family), row.edits)); err == nil || key != nil {
				t.Errorf("taken as %+v, %v", key, err)
			}
		})
	}
}

func TestAKeyIsOneStrictJSONObject(t *testing.T) {
	good := jwkOf(t, k1(), nil)
	for name, doc := range map[string]string{
		"a name twice":                  strings.Replace(good, "{", `{"kty":"EC",`, 1),
		"a name twice, once escaped":    strings.Replace(good, "{", `{"\u006bty":"RSA",`, 1),
		"two keys in a row":             good + good,
		"a list with a key":             "[" + good + "]",
		"a byte order mark before it":   "\ufeff" + good,
		"a number":                      `1`,
		"null":                          `null`,
		"nothing":                       ``,
		"a broken string in the middle": strings.Replace(good, "{", "{\"x\":\"\xff\",", 1),
	} {
		if _, err := ParseKey(doc); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestAKeyIsTakenWithWhatIssuersPublishBesideIt(t *testing.T) {
	for name, row := range map[string]struct {
		family string
		edits  map[string]any
	}{
		"no use, no alg, no kid":        {"P-256", map[string]any{"use": absent{}, "alg": absent{}, "kid": absent{}}},
		"key_ops verify":                {"P-256", map[string]any{"key_ops": []string{"verify"}}},
		"key_ops sign and verify":       {"P-384", map[string]any{"key_ops": []string{"sign", "verify"}}},
		".NET's unset members":          {"RSA", map[string]any{"key_ops": []any{}, "oth": []any{}, "x5c": []any{}}},
		"nulls of .NET":                 {"RSA", map[string]any{"d": nil, "dp": nil, "dq": nil, "k": nil, "key_ops": nil, "oth": nil, "p": nil, "q": nil, "qi": nil, "x": nil, "x5c": nil, "x5t": nil, "y": nil}},
		"nulls of Jackson":              {"RSA", map[string]any{"alg": nil, "use": nil, "kid": nil, "x5c": nil}},
		"empty texts":                   {"RSA", map[string]any{"alg": "", "use": "", "d": "", "k": ""}},
		"certificates":                  {"RSA", map[string]any{"x5c": []string{"MIIB"}, "x5t": "AAAA", "x5t#S256": "AAAA", "x5u": "https://login.example.com/cert"}},
		"members nobody knows":          {"P-521", map[string]any{"iat": 1, "issuer": map[string]any{"x": nil}, "ext": true}},
		"a folded name beside a good":   {"RSA", map[string]any{"N": "AAAA", "E": 3, "KTY": "oct", "D": "x"}},
		"the name of RFC 9864":          {"Ed25519", map[string]any{"alg": "Ed25519"}},
		"RSA with an exponent of 3":     {"RSA", map[string]any{"e": b64([]byte{3})}},
		"RSA of 2048 bits":              {"RSA", map[string]any{"n": modulus(2048)}},
		"RSA of 8192 bits":              {"RSA", map[string]any{"n": modulus(8192)}},
		"RSA with a zero ahead of e":    {"RSA", map[string]any{"e": b64([]byte{0, 1, 0, 1})}},
		"a kid of odd letters":          {"P-256", map[string]any{"kid": "é/ \n"}},
		"an empty kid, which is no kid": {"P-256", map[string]any{"kid": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseKey(jwkOf(t, keyOf(row.family), row.edits)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A modulus made by the faulty generator of CVE-2017-15361 is a power of
// 65537 modulo each small prime. Its private key can be computed.
func TestAnRSAKeyOfAFaultyGeneratorIsRefused(t *testing.T) {
	primorial := big.NewInt(1)
	for _, p := range smallPrimes {
		primorial.Mul(primorial, big.NewInt(p))
	}
	n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(123456789), primorial)
	n.Add(n, new(big.Int).Mul(primorial, new(big.Int).Lsh(big.NewInt(1), uint(2050-primorial.BitLen()))))
	if n.Bit(0) == 0 {
		n.Add(n, primorial)
	}
	if _, err := ParseKey(jwkOf(t, keyOf("RSA"), map[string]any{"n": b64(n.Bytes())})); err == nil {
		t.Error("taken")
	}
	for range 3 {
		if key, err := ParseKey(jwkOf(t, keyOf("RSA"), nil)); err != nil {
			t.Error(key, err)
		}
	}
}

func TestAnErrorOfAKeyHidesItsPrivatePart(t *testing.T) {
	_, err := ParseKey(jwkOf(t, k1(), map[string]any{"d": "topsecret"}))
	if err == nil || strings.Contains(err.Error(), "topsecret") {
		t.Error(err)
	}
}

func TestTheSameKeyHasTheSamePrint(t *testing.T) {
	print := func(edits map[string]any) [32]byte {
		key, err := ParseKey(jwkOf(t, k1(), edits))
		if err != nil {
			t.Fatal(err)
		}
		return key.print
	}
	same := print(nil)
	if same != print(map[string]any{"x5c": []string{"MIIB"}, "use": absent{}}) {
		t.Error("what stands beside a key changes its print")
	}
	if same == print(map[string]any{"kid": "k2"}) || same == print(map[string]any{"alg": absent{}}) {
		t.Error("a key under another name or for another alg has the same print")
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(jwkOf(t, signer("k1", "ES256", "other P-256"), nil)), &members); err != nil {
		t.Fatal(err)
	}
	if same == print(map[string]any{"x": members["x"], "y": members["y"]}) {
		t.Error("another key has the same print")
	}
}
