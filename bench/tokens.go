package main

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"runtime"
	"sync"
	"time"
)

const (
	issuer   = "https://issuer.example"
	audience = "bench"
)

// signer is one signing key of the made-up authorization server.
type signer struct {
	alg string // RS256, ES256 or EdDSA
	kid string
	key crypto.Signer
}

func newSigner(alg string) (*signer, error) {
	s := &signer{alg: alg, kid: "bench-" + alg}
	var err error
	switch alg {
	case "RS256":
		s.key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, s.key, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("algorithm %q: want RS256, ES256 or EdDSA", alg)
	}
	if err != nil {
		return nil, fmt.Errorf("making a key for %s: %w", alg, err)
	}
	return s, nil
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk is the public key as RFC 7517 writes it.
func (s *signer) jwk() (map[string]string, error) {
	m := map[string]string{"kid": s.kid, "alg": s.alg, "use": "sig"}
	switch pub := s.key.Public().(type) {
	case *rsa.PublicKey:
		m["kty"] = "RSA"
		m["n"] = b64(pub.N.Bytes())
		m["e"] = b64(big.NewInt(int64(pub.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := pub.Bytes() // 0x04, x, y
		if err != nil {
			return nil, fmt.Errorf("writing the public key for %s: %w", s.alg, err)
		}
		half := (len(point) - 1) / 2
		m["kty"], m["crv"] = "EC", "P-256"
		m["x"], m["y"] = b64(point[1:1+half]), b64(point[1+half:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(pub)
	}
	return m, nil
}

// publicPEM is the public key as HAProxy reads it.
func (s *signer) publicPEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		return nil, fmt.Errorf("writing the public key for %s: %w", s.alg, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// claims is a plain RFC 9068 access token for subject number n.
func claims(n int, now time.Time) map[string]any {
	return map[string]any{
		"iss":       issuer,
		"sub":       fmt.Sprintf("user-%08d", n),
		"aud":       audience,
		"client_id": "bench-client",
		"jti":       fmt.Sprintf("%032x", n),
		"scope":     "orders:read orders:write",
		"iat":       now.Unix(),
		"exp":       now.Add(24 * time.Hour).Unix(),
	}
}

func (s *signer) sign(payload map[string]any) (string, error) { return s.signAs("at+jwt", payload) }

func (s *signer) signAs(typ string, payload map[string]any) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": s.alg, "kid": s.kid, "typ": typ})
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return "", err
	}
	input := b64(header) + "." + b64(body)
	sig, err := s.signature([]byte(input))
	if err != nil {
		return "", fmt.Errorf("signing with %s: %w", s.alg, err)
	}
	return input + "." + b64(sig), nil
}

func (s *signer) signature(input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch key := s.key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(key, input), nil
	case *ecdsa.PrivateKey:
		r, t, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			return nil, err
		}
		out := make([]byte, 64) // JWS wants r and s side by side, not DER
		r.FillBytes(out[:32])
		t.FillBytes(out[32:])
		return out, nil
	default:
		return s.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
}

// tokens signs n distinct tokens on all cores.
func (s *signer) tokens(n int) ([]string, error) {
	out := make([]string, n)
	errs := make([]error, runtime.NumCPU())
	now := time.Now()
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += len(errs) {
				out[i], errs[w] = s.sign(claims(i, now))
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// bearer is what stands before a token in its header field.
const bearer = "Authorization: Bearer "

// bearerOf is the field for a token; none for none.
func bearerOf(token string) string {
	if token == "" {
		return ""
	}
	return bearer + token
}

func bearers(tokens []string) []string {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		out[i] = bearer + t
	}
	return out
}

// writeLines writes one header field a line, as wrk.lua reads them.
func writeLines(path string, lines []string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, line := range lines {
		w.WriteString(line)
		w.WriteByte('\n')
	}
	if err := w.Flush(); err != nil {
		f.Close()
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return f.Close()
}

// badTokens are what every candidate must refuse before its speed counts.
func (s *signer) badTokens(good string) (map[string]string, error) {
	now := time.Now()
	expired := claims(1, now)
	expired["exp"] = now.Add(-time.Hour).Unix()
	otherAudience := claims(2, now)
	otherAudience["aud"] = "somebody-else"
	otherIssuer := claims(3, now)
	otherIssuer["iss"] = "https://other.example"

	bad := map[string]string{"no token": "", "a changed signature": changeSignature(good)}
	for name, payload := range map[string]map[string]any{
		"an expired token": expired, "another audience": otherAudience, "another issuer": otherIssuer,
	} {
		t, err := s.sign(payload)
		if err != nil {
			return nil, err
		}
		bad[name] = t
	}
	stranger, err := newSigner(s.alg)
	if err != nil {
		return nil, err
	}
	if bad["a stranger's key"], err = stranger.sign(claims(4, now)); err != nil {
		return nil, err
	}
	return bad, nil
}

// changeSignature swaps a letter well inside the signature, where each letter
// carries six bits of it.
func changeSignature(token string) string { return changeLetter(token, len(token)-20) }

func changeLetter(token string, i int) string {
	b := []byte(token)
	if b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}
