package token

import (
	"fmt"
	"strings"
)

// Algorithms is a set of signature algorithms. HMAC and none are not in it and
// cannot be put there (RFC 8725 §3.1).
type Algorithms uint16

// algorithm is what one JWS alg needs of a key (RFC 7518 §3.1, 8037 §3.1,
// 9864 §2.2).
type algorithm struct {
	bit  Algorithms
	kty  string
	crv  string // for EC and OKP keys
	size int    // of the signature in bytes; 0: as long as the modulus
}

var algorithms = map[string]algorithm{
	"RS256": {bit: 1 << 0, kty: "RSA"},
	"RS384": {bit: 1 << 1, kty: "RSA"},
	"RS512": {bit: 1 << 2, kty: "RSA"},
	"PS256": {bit: 1 << 3, kty: "RSA"},
	"PS384": {bit: 1 << 4, kty: "RSA"},
	"PS512": {bit: 1 << 5, kty: "RSA"},
	"ES256": {bit: 1 << 6, kty: "EC", crv: "P-256", size: 64},
	"ES384": {bit: 1 << 7, kty: "EC", crv: "P-384", size: 96},
	"ES512": {bit: 1 << 8, kty: "EC", crv: "P-521", size: 132},
	// Two names for one thing: EdDSA also covers Ed448, which is refused.
	"EdDSA":   {bit: 1 << 9, kty: "OKP", crv: "Ed25519", size: 64},
	"Ed25519": {bit: 1 << 9, kty: "OKP", crv: "Ed25519", size: 64},
}

// AlgorithmNames is every name that [ParseAlgorithms] takes, for error texts.
const AlgorithmNames = "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519"

// ParseAlgorithms makes a set of algorithm names; no name at all means every
// algorithm of [AlgorithmNames].
func ParseAlgorithms(names []string) (Algorithms, error) {
	if len(names) == 0 {
		return 1<<10 - 1, nil
	}
	var set Algorithms
	for _, name := range names {
		alg, ok := algorithms[name]
		switch {
		case ok:
			set |= alg.bit
		case strings.HasPrefix(name, "HS"):
			return 0, fmt.Errorf("algorithm %s is HMAC, which is never taken; use one of %s", name, AlgorithmNames)
		default:
			return 0, fmt.Errorf("unknown algorithm %q; use one of %s", name, AlgorithmNames)
		}
	}
	return set, nil
}

func (a Algorithms) has(name string) bool {
	return a&algorithms[name].bit != 0
}
