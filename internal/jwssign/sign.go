// Package jwssign makes signed tokens: good and bad ones for the development
// issuer and for tests, and the assertions by which the gateway proves to an
// authorization server who it is (RFC 7523). Nothing else in a production
// build signs.
package jwssign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // RS256, PS256, ES256
	_ "crypto/sha512" // the 384 and 512 sizes
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// Key is a private key with the names it has in a JWK Set.
type Key struct {
	ID      string // kid; left out of header and JWK when empty
	Alg     string // RS256 … ES512, EdDSA or Ed25519
	Private crypto.Signer
}

var hashes = map[string]crypto.Hash{
	"RS256": crypto.SHA256, "RS384": crypto.SHA384, "RS512": crypto.SHA512,
	"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512,
	"ES256": crypto.SHA256, "ES384": crypto.SHA384, "ES512": crypto.SHA512,
}

// Generate makes a new random key for one of the algorithms of RFC 7518 §3.1
// and RFC 8037 (HMAC excepted).
func Generate(kid, alg string) (*Key, error) {
	var (
		private crypto.Signer
		err     error
	)
	switch alg {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA", "Ed25519":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("generating a key: unknown algorithm %q", alg)
	}
	if err != nil {
		return nil, fmt.Errorf("generating a key for %s: %w", alg, err)
	}
	return &Key{ID: kid, Alg: alg, Private: private}, nil
}

// Token signs claims under a header {alg, typ, kid}; an empty typ is left out.
func (k *Key) Token(typ string, claims map[string]any) (string, error) {
	header := map[string]any{"alg": k.Alg}
	if typ != "" {
		header["typ"] = typ
	}
	if k.ID != "" {
		header["kid"] = k.ID
	}
	h, err := json.Marshal(header)
	if err != nil {
		return "", fmt.Errorf("encoding the header: %w", err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding the claims: %w", err)
	}
	return k.Raw(h, c)
}

// Raw signs a header and a payload as they are, so that a test can sign
// what no honest issuer would.
func (k *Key) Raw(header, payload []byte) (string, error) {
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sig, err := k.Sign([]byte(input))
	if err != nil {
		return "", err
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

// Sign signs a signing input (RFC 7515 §5.1) with the key's algorithm.
func (k *Key) Sign(input []byte) ([]byte, error) {
	if k.Alg == "EdDSA" || k.Alg == "Ed25519" {
		return k.Private.Sign(rand.Reader, input, crypto.Hash(0))
	}
	hash, ok := hashes[k.Alg]
	if !ok {
		return nil, fmt.Errorf("signing: unknown algorithm %q", k.Alg)
	}
	h := hash.New()
	h.Write(input)
	digest := h.Sum(nil)
	switch private := k.Private.(type) {
	case *rsa.PrivateKey:
		if k.Alg[0] == 'P' {
			return rsa.SignPSS(rand.Reader, private, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(rand.Reader, private, hash, digest)
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, digest)
		if err != nil {
			return nil, err
		}
		size := (private.Params().BitSize + 7) / 8
		sig := make([]byte, 2*size)
		r.FillBytes(sig[:size])
		s.FillBytes(sig[size:])
		return sig, nil
	}
	return nil, fmt.Errorf("signing: %s does not fit a %T", k.Alg, k.Private)
}

// JWK is the public half as a JSON Web Key (RFC 7517, 7518 §6, 8037).
func (k *Key) JWK() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	jwk := map[string]any{"use": "sig", "alg": k.Alg}
	if k.ID != "" {
		jwk["kid"] = k.ID
	}
	switch public := k.Private.Public().(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		size := (public.Params().BitSize + 7) / 8
		point, err := public.Bytes() // 0x04 ‖ X ‖ Y
		if err != nil {
			panic("jwssign: a generated key is off its curve: " + err.Error())
		}
		jwk["kty"], jwk["crv"] = "EC", public.Params().Name
		jwk["x"], jwk["y"] = b64(point[1:1+size]), b64(point[1+size:])
	case ed25519.PublicKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", b64(public)
	}
	return jwk
}

// Set is the JWK Set document of several keys.
func Set(keys ...*Key) []byte {
	list := make([]map[string]any, len(keys))
	for i, k := range keys {
		list[i] = k.JWK()
	}
	doc, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		panic("jwssign: encoding a JWK Set: " + err.Error())
	}
	return doc
}
