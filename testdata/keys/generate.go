//go:build ignore

//go:debug rsa1024min=0

// This program made the keys in this folder: go run testdata/keys/generate.go
//
// They are test keys, known to everybody. Nothing but the tests may trust them.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

const dir = "testdata/keys"

type jwk = map[string]any

func main() {
	keys := map[string]crypto.Signer{
		"es256": ec(elliptic.P256()), "es384": ec(elliptic.P384()), "es512": ec(elliptic.P521()),
		"rsa": rs(2048), "ed25519": ed(),
		"other": ec(elliptic.P256()), // of another issuer, under the kid es256 too
		"odd":   ec(elliptic.P256()), // published only in ways that forbid its use
		"weak":  rs(1024),
	}
	for name, key := range keys {
		private(name, key)
	}
	// pub is a key's JWK under a kid, with members changed or, by nil, removed.
	pub := func(name, kid string, change jwk) jwk {
		key := (&jwssign.Key{ID: kid, Alg: "x", Private: keys[name]}).JWK()
		delete(key, "alg")
		for member, v := range change {
			if key[member] = v; v == nil {
				delete(key, member)
			}
		}
		return key
	}
	es256 := pub("es256", "es256", jwk{"alg": "ES256"})
	set("issuer", es256, pub("es384", "es384", nil), pub("es512", "es512", nil), pub("ed25519", "ed25519", nil),
		pub("rsa", "rsa", nil), pub("rsa", "rs256-only", jwk{"alg": "RS256"}))
	set("other", pub("other", "es256", nil))
	set("next", pub("es384", "es384", nil))
	set("no-kid", pub("es256", "", nil), pub("rsa", "", nil))
	set("shared-kid", pub("rsa", "shared", nil), pub("es256", "shared", nil))
	set("odd",
		"not even an object",
		jwk{"kty": "oct", "kid": "oct", "k": b64([]byte("a secret that everybody can read"))},
		pub("weak", "weak", nil),
		pub("rsa", "exponent-1", jwk{"e": "AQ"}),
		pub("odd", "enc", jwk{"use": "enc"}),
		pub("odd", "key-ops", jwk{"use": nil, "key_ops": []string{"encrypt"}}),
		pub("odd", "private", jwk{"d": b64(make([]byte, 32))}),
		pub("odd", "alg-unknown", jwk{"alg": "ES257"}),
		pub("odd", "off-curve", jwk{"x": b64(append(make([]byte, 31), 1))}),
		pub("ed25519", "ed-short", jwk{"x": b64(make([]byte, 31))}),
		jwk{"kty": "EC", "crv": "secp256k1", "kid": "k256", "x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))},
		es256)
	authority(keys["other"])
}

// authority writes a certificate for the tests of trust_pool.
func authority(key crypto.Signer) {
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(4_000_000_000, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key))
	write("ca.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func ec(curve elliptic.Curve) crypto.Signer { return must(ecdsa.GenerateKey(curve, rand.Reader)) }
func rs(bits int) crypto.Signer             { return must(rsa.GenerateKey(rand.Reader, bits)) }

func ed() crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return must(key, err)
}

func private(name string, key crypto.Signer) {
	der := must(x509.MarshalPKCS8PrivateKey(key))
	text := "A TEST KEY, known to everybody: nothing but the tests may trust it.\n"
	write(name+".pem", append([]byte(text), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...))
}

func set(name string, keys ...any) {
	write(name+".jwks.json", append(must(json.MarshalIndent(jwk{"keys": keys}, "", "\t")), '\n'))
}

func write(name string, data []byte) {
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		panic(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
