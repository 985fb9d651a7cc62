package as

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// jwk is a private key's members (RFC 7518 §6, RFC 8037 §2). The first thing
// that is wrong with them is kept.
type jwk struct {
	members map[string]any
	wrong   error
}

func parseJWK(doc string) (*jwssign.Key, error) {
	members, err := token.ParseObject(doc)
	if err != nil {
		return nil, err
	}
	k := &jwk{members: members}
	if k.word("kty") == "oct" {
		return nil, errors.New("it is a shared secret (oct), and no private key")
	}
	if members["keys"] != nil {
		return nil, errors.New("it is a set; give the one key")
	}
	if members["d"] == nil {
		return nil, errors.New("there is no private part (d) in it")
	}
	if use := k.word("use"); use != "" && use != "sig" {
		return nil, errors.New("its use is not sig")
	}
	var private crypto.PrivateKey
	switch k.word("kty") {
	case "RSA":
		private = k.rsa()
	case "EC":
		private = k.ec()
	case "OKP":
		private = k.okp()
	default:
		return nil, errors.New("its kty is none of RSA, EC and OKP")
	}
	kid, alg := k.word("kid"), k.word("alg")
	if k.wrong != nil {
		return nil, k.wrong
	}
	return fitKey(kid, alg, private)
}

func (k *jwk) fail(err error) {
	if k.wrong == nil {
		k.wrong = err
	}
}

func (k *jwk) word(name string) string {
	s, ok := text(k.members[name], 256)
	if !ok {
		k.fail(fmt.Errorf("its %s is no word", name))
	}
	return s
}

// bytes is a member in base64url. Its decoder's errors quote nothing but a
// place, and are left out all the same.
func (k *jwk) bytes(name string) []byte {
	s, _ := k.members[name].(string)
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) == 0 {
		k.fail(fmt.Errorf("its %s is missing or no base64url", name))
	}
	return b
}

func (k *jwk) number(name string) *big.Int { return new(big.Int).SetBytes(k.bytes(name)) }

func (k *jwk) rsa() crypto.PrivateKey {
	if k.members["oth"] != nil {
		k.fail(errors.New("an RSA key of more than two primes"))
	}
	e := k.number("e")
	if e.BitLen() > 31 {
		k.fail(errors.New("its e is too large"))
		return nil
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: k.number("n"), E: int(e.Int64())},
		D:         k.number("d"),
		Primes:    []*big.Int{k.number("p"), k.number("q")},
	}
	if k.wrong == nil && key.N.BitLen() <= maxRSA {
		key.Precompute()
	}
	return key
}

func (k *jwk) ec() crypto.PrivateKey {
	curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[k.word("crv")]
	if curve == nil {
		k.fail(errors.New("a curve other than P-256, P-384 and P-521"))
		return nil
	}
	d := k.bytes("d")
	if k.wrong != nil {
		return nil
	}
	key, err := ecdsa.ParseRawPrivateKey(curve, d)
	if err != nil {
		k.fail(errors.New("its d is no number for this curve"))
		return nil
	}
	if key.X.Cmp(k.number("x")) != 0 || key.Y.Cmp(k.number("y")) != 0 {
		k.fail(errors.New("its public part does not fit its private part"))
	}
	return key
}

func (k *jwk) okp() crypto.PrivateKey {
	seed := k.bytes("d")
	if k.word("crv") != "Ed25519" || len(seed) != ed25519.SeedSize {
		k.fail(errors.New("of OKP keys only Ed25519 is taken"))
		return nil
	}
	key := ed25519.NewKeyFromSeed(seed)
	if !key.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(k.bytes("x"))) {
		k.fail(errors.New("its public part does not fit its private part"))
	}
	return key
}
