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

// Sets that more than one place knows.
const (
	rsaNames Algorithms = 1<<6 - 1  // of RSA keys
	allNames Algorithms = 1<<10 - 1 // every one
	unnamed  Algorithms = 1 << 10   // a mark: none was chosen
)

// ParseAlgorithms makes a set of algorithm names; no name at all means every
// algorithm of [AlgorithmNames], chosen neither by key nor by configuration.
func ParseAlgorithms(names []string) (Algorithms, error) {
	if len(names) == 0 {
		return allNames | unnamed, nil
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

// rsaOf are those of the names that an RSA key can be for. Names that are not
// known here are the issuer's own affair.
func rsaOf(names []string) (set Algorithms) {
	for _, name := range names {
		set |= algorithms[name].bit & rsaNames
	}
	return set
}

// plainRSA is what a key of RSA is for that has no alg of its own: one
// algorithm, unless the issuer or the operator says otherwise (RFC 8725 §3.1). The
// operator does with algorithms, or else the issuer with its metadata; RS256 is
// what every issuer of JWTs has to have (RFC 9068 §4, OpenID Connect Core §15.1).
// A key that takes six algorithms would take the weakest of them, too. EC and
// OKP keys need no such word: their curve has one algorithm.
func (s *KeySet) plainRSA(configured Algorithms) Algorithms {
	switch {
	case configured&unnamed == 0:
		return configured & rsaNames
	case s != nil && s.named != 0:
		return s.named
	}
	return algorithms["RS256"].bit
}

// takes reports whether a key of the set may verify signatures of alg, under
// the algorithms that are configured.
func (s *KeySet) takes(key *Key, alg string, configured Algorithms) bool {
	return key.fits(alg) && (!key.plainRSA() || s.plainRSA(configured).has(alg))
}

func (k *Key) plainRSA() bool { return k.kty == "RSA" && k.alg == "" }
