package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"testing"
	"time"
)

var b64 = base64.RawURLEncoding

// signKey is an ES256 key of the fake issuer.
type signKey struct {
	kid     string
	private *ecdsa.PrivateKey
}

func newSignKey(t *testing.T) signKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signKey{kid: rand.Text(), private: private}
}

// jwk is the public half.
func (k signKey) jwk() map[string]any {
	point, err := k.private.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err)
	}
	return map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": k.kid,
		"x": b64.EncodeToString(point[1:33]), "y": b64.EncodeToString(point[33:]),
	}
}

// sign makes a JWT of these claims, with header names changed by changes.
func (k signKey) sign(claims, changes map[string]any) string {
	header := map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": k.kid}
	maps.Copy(header, changes)
	input := encodePart(header) + "." + encodePart(claims)
	digest := sha256.Sum256([]byte(input))
	return input + "." + b64.EncodeToString(rawSignature(k.private, digest[:]))
}

// rawSignature is r and s, 32 bytes each, as JWS wants them.
func rawSignature(key *ecdsa.PrivateKey, digest []byte) []byte {
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		panic(err)
	}
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return raw
}

func encodePart(part map[string]any) string {
	text, err := json.Marshal(part)
	if err != nil {
		panic(err)
	}
	return b64.EncodeToString(text)
}

// claims of a good access token of this issuer, changed by changes; a nil
// value takes the claim out.
func goodClaims(issuer string, changes map[string]any) map[string]any {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": issuer, "aud": "api://orders", "sub": "alice", "client_id": "shop",
		"jti": rand.Text(), "iat": now, "exp": now + 600, "scope": "orders:read",
	}
	for name, value := range changes {
		if value == nil {
			delete(claims, name)
			continue
		}
		claims[name] = value
	}
	return claims
}
