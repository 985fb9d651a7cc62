package as

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

const (
	maxKeyFile = 64 << 10
	minRSA     = 2048 // RFC 7518 §3.3
	maxRSA     = 8192
)

// ParseClientKey reads the private key of a client: PEM (PKCS #8, PKCS #1, SEC
// 1) or one JWK. The algorithm is the JWK's, else RS256, that of the curve, or
// EdDSA; a key from PEM has no id. No error shows anything of the content.
func ParseClientKey(doc []byte) (*jwssign.Key, error) {
	doc = bytes.TrimSpace(doc)
	switch {
	case len(doc) > maxKeyFile:
		return nil, fmt.Errorf("reading a private key: more than %d bytes", maxKeyFile)
	case bytes.HasPrefix(doc, []byte("{")):
		key, err := parseJWK(string(doc))
		if err != nil {
			return nil, fmt.Errorf("reading a private JWK: %w", err)
		}
		return key, nil
	}
	private, err := parsePEM(doc)
	if err == nil {
		var key *jwssign.Key
		if key, err = fitKey("", "", private); err == nil {
			return key, nil
		}
	}
	return nil, fmt.Errorf("reading a private key from PEM: %w", err)
}

// parsePEM finds the one private key among the blocks; certificates and
// parameters may stand beside it.
func parsePEM(doc []byte) (private crypto.PrivateKey, err error) {
	public := false
	for block, rest := pem.Decode(doc); block != nil; block, rest = pem.Decode(rest) {
		var parse func([]byte) (crypto.PrivateKey, error)
		switch block.Type {
		case "PRIVATE KEY":
			parse = func(der []byte) (crypto.PrivateKey, error) { return x509.ParsePKCS8PrivateKey(der) }
		case "RSA PRIVATE KEY":
			parse = func(der []byte) (crypto.PrivateKey, error) { return x509.ParsePKCS1PrivateKey(der) }
		case "EC PRIVATE KEY":
			parse = func(der []byte) (crypto.PrivateKey, error) { return x509.ParseECPrivateKey(der) }
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("it is encrypted; give it without a passphrase")
		case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE":
			public = true
			continue
		default:
			continue
		}
		if block.Headers["DEK-Info"] != "" {
			return nil, errors.New("it is encrypted; give it without a passphrase")
		}
		if private != nil {
			return nil, errors.New("there is more than one")
		}
		if private, err = parse(block.Bytes); err != nil {
			return nil, fmt.Errorf("the block %q does not hold one of RSA, P-256, P-384, P-521 or Ed25519", block.Type)
		}
	}
	switch {
	case private != nil:
		return private, nil
	case public:
		return nil, errors.New("there is a public key or certificate, and no private key")
	}
	return nil, errors.New("there is none, and it is no JWK either")
}

// fitKey checks that a key is fit to sign, and fits alg; without one it gets
// the usual one.
func fitKey(kid, alg string, private crypto.PrivateKey) (*jwssign.Key, error) {
	var fits []string // the usual one first
	switch key := private.(type) {
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < minRSA || bits > maxRSA {
			return nil, fmt.Errorf("an RSA key of %d bits; %d to %d are taken", bits, minRSA, maxRSA)
		}
		if err := key.Validate(); err != nil {
			return nil, errors.New("the parts of the RSA key do not fit together")
		}
		fits = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PrivateKey:
		only := map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[key.Params().Name]
		if only == "" {
			return nil, errors.New("a curve other than P-256, P-384 and P-521")
		}
		fits = []string{only}
	case ed25519.PrivateKey:
		fits = []string{"EdDSA", "Ed25519"}
	default:
		return nil, errors.New("it is none of RSA, EC and Ed25519")
	}
	if alg == "" {
		alg = fits[0]
	}
	if !slices.Contains(fits, alg) {
		return nil, fmt.Errorf("its alg does not fit the key; %v would", fits)
	}
	return &jwssign.Key{ID: kid, Alg: alg, Private: private.(crypto.Signer)}, nil
}
