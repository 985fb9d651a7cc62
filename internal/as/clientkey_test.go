package as

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

func must[T any](t *testing.T, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return block("PRIVATE KEY", must(t, der, err))
}

func generate(t *testing.T, alg string) *jwssign.Key {
	t.Helper()
	key, err := jwssign.Generate("", alg)
	return must(t, key, err)
}

// privateJWK is key with its private members.
func privateJWK(t *testing.T, key *jwssign.Key, change map[string]any) string {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	members := key.JWK()
	delete(members, "alg")
	switch private := key.Private.(type) {
	case *rsa.PrivateKey:
		members["d"], members["p"], members["q"] = b64(private.D.Bytes()), b64(private.Primes[0].Bytes()), b64(private.Primes[1].Bytes())
	case *ecdsa.PrivateKey:
		d, err := private.Bytes()
		members["d"] = b64(must(t, d, err))
	case ed25519.PrivateKey:
		members["d"] = b64(private.Seed())
	}
	maps.Copy(members, change)
	doc, err := json.Marshal(members)
	return string(must(t, doc, err))
}

func TestPrivateKeysAreReadFromPEMAndJWK(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256", "ES384", "ES512", "EdDSA"} {
		key := generate(t, alg)
		docs := map[string]string{
			"PKCS #8":           pkcs8(t, key.Private),
			"among others":      block("EC PARAMETERS", []byte{1}) + pkcs8(t, key.Private) + block("CERTIFICATE", []byte{2}),
			"with space around": "\n\n " + pkcs8(t, key.Private) + "\n",
			"JWK":               privateJWK(t, key, nil),
			"JWK with alg":      privateJWK(t, key, map[string]any{"alg": alg}),
		}
		switch private := key.Private.(type) {
		case *rsa.PrivateKey:
			docs["PKCS #1"] = block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private))
		case *ecdsa.PrivateKey:
			der, err := x509.MarshalECPrivateKey(private)
			docs["SEC 1"] = block("EC PRIVATE KEY", must(t, der, err))
		}
		for name, doc := range docs {
			got, err := ParseClientKey([]byte(doc))
			if err != nil {
				t.Errorf("%s, %s: %v", alg, name, err)
				continue
			}
			same := got.Private.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Private.Public())
			if got.Alg != alg || got.ID != "" || !same {
				t.Errorf("%s, %s: %s, kid %q, same key: %t", alg, name, got.Alg, got.ID, same)
			}
			if _, err := got.Sign([]byte("x")); err != nil {
				t.Errorf("%s, %s: %v", alg, name, err)
			}
		}
	}
}

func TestAJWKSaysItsAlgorithmAndID(t *testing.T) {
	key := generate(t, "RS256")
	got, err := ParseClientKey([]byte(privateJWK(t, key, map[string]any{"alg": "PS384", "kid": "k-1"})))
	if err != nil || got.Alg != "PS384" || got.ID != "k-1" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWhatIsNoPrivateKeyIsRefusedAndNotShown(t *testing.T) {
	long, ec, ed := generate(t, "RS256"), generate(t, "ES256"), generate(t, "EdDSA")
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	weak := must(t, short, err)
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	p224 := must(t, small, err)
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	x25519 := must(t, exchange, err)
	spki, err := x509.MarshalPKIXPublicKey(ec.Private.Public())
	public, err2 := json.Marshal(ec.JWK())
	b64 := base64.RawURLEncoding.EncodeToString
	for name, c := range map[string]struct{ doc, says string }{
		"a public key":            {block("PUBLIC KEY", must(t, spki, err)), "public key"},
		"a certificate":           {block("CERTIFICATE", []byte("content")), "certificate"},
		"a public JWK":            {string(must(t, public, err2)), "no private part"},
		"a shared secret":         {`{"kty":"oct","k":"` + b64([]byte("content")) + `"}`, "shared secret"},
		"a set":                   {`{"keys":[` + privateJWK(t, ec, nil) + `]}`, "set"},
		"a short RSA key":         {pkcs8(t, weak), "1024 bits"},
		"a short RSA JWK":         {privateJWK(t, &jwssign.Key{Private: weak}, nil), "1024 bits"},
		"P-224":                   {pkcs8(t, p224), "P-256"},
		"X25519":                  {pkcs8(t, x25519), "none of RSA"},
		"two keys":                {pkcs8(t, ec.Private) + pkcs8(t, ed.Private), "more than one"},
		"an encrypted key":        {block("ENCRYPTED PRIVATE KEY", []byte("content")), "passphrase"},
		"one encrypted of old":    {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\ncontent=\n-----END RSA PRIVATE KEY-----\n", "passphrase"},
		"broken DER":              {block("PRIVATE KEY", []byte("content")), "PRIVATE KEY"},
		"a key cut short":         {pkcs8(t, ec.Private)[:100], "none"},
		"nothing":                 {"", "none"},
		"a password":              {"content", "none"},
		"a JWK cut short":         {privateJWK(t, ec, nil)[:80], "JSON"},
		"HMAC as alg":             {privateJWK(t, ec, map[string]any{"alg": "HS256"}), "alg"},
		"another curve's alg":     {privateJWK(t, ec, map[string]any{"alg": "ES384"}), "ES256"},
		"none as alg":             {privateJWK(t, long, map[string]any{"alg": "none"}), "alg"},
		"a list as alg":           {privateJWK(t, long, map[string]any{"alg": []string{"RS256"}}), "alg"},
		"for encryption":          {privateJWK(t, ec, map[string]any{"use": "enc"}), "use"},
		"another's x":             {privateJWK(t, ec, map[string]any{"x": b64(make([]byte, 32))}), "does not fit"},
		"another's x, Ed25519":    {privateJWK(t, ed, map[string]any{"x": b64(make([]byte, 32))}), "does not fit"},
		"an x that is no base64":  {privateJWK(t, ec, map[string]any{"x": "content"}), "its x"},
		"d is zero":               {privateJWK(t, ec, map[string]any{"d": b64(make([]byte, 32))}), "its d"},
		"a d of numbers":          {privateJWK(t, ec, map[string]any{"d": 7}), "its d"},
		"an unknown curve":        {privateJWK(t, ec, map[string]any{"crv": "secp256k1"}), "curve"},
		"Ed448":                   {privateJWK(t, ed, map[string]any{"crv": "Ed448"}), "Ed25519"},
		"RSA without primes":      {privateJWK(t, long, map[string]any{"p": nil}), "its p"},
		"RSA with another prime":  {privateJWK(t, long, map[string]any{"p": b64(big.NewInt(65537).Bytes())}), "fit together"},
		"RSA of three primes":     {privateJWK(t, long, map[string]any{"oth": []any{}}), "two primes"},
		"an exponent that is odd": {privateJWK(t, long, map[string]any{"e": b64(make([]byte, 9)) + "content"}), "e"},
		"RSA of zeros":            {privateJWK(t, long, map[string]any{"n": "AA", "p": "AA", "q": "AA", "d": "AA"}), "bits"},
		"much too long":           {strings.Repeat(" x", maxKeyFile), "more than"},
	} {
		key, err := ParseClientKey([]byte(c.doc))
		if err == nil {
			t.Errorf("%s: a key for %s", name, key.Alg)
			continue
		}
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q does not say %q", name, err, c.says)
		}
		if strings.Contains(err.Error(), "content") || strings.Contains(err.Error(), b64([]byte("content"))) || len(err.Error()) > 200 {
			t.Errorf("%s: %q shows too much", name, err)
		}
	}
}
