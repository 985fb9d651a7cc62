package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
)

// Rule 12: the form of a signature.

const signed = "header.payload"

func parsed(t *testing.T, alg string) *Key {
	t.Helper()
	key, err := ParseKey(jwkOf(t, signer("k1", alg, familyOf(alg)), nil))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, alg string) []byte {
	t.Helper()
	signature, err := signer("k1", alg, familyOf(alg)).Sign([]byte(signed))
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func TestAPSSSaltIsAsLongAsTheHash(t *testing.T) {
	private := privates["RSA"]().(*rsa.PrivateKey)
	digest := sha256.Sum256([]byte(signed))
	key := parsed(t, "PS256")
	for salt, want := range map[int]Reason{
		rsa.PSSSaltLengthEqualsHash: "", 32: "",
		rsa.PSSSaltLengthAuto: SignatureFailed, // the longest that fits
		1:                     SignatureFailed, 20: SignatureFailed, 31: SignatureFailed, 33: SignatureFailed, 64: SignatureFailed,
	} {
		signature, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			t.Fatal(err)
		}
		// The signature is a right one: only its salt differs.
		if err := rsa.VerifyPSS(&private.PublicKey, crypto.SHA256, digest[:], signature, nil); err != nil {
			t.Fatal(err)
		}
		t.Logf("salt length %d", salt)
		wantReason(t, key.verify("PS256", []byte(signed), signature), want)
	}
}

func TestAnRSASignatureIsAsLongAsTheModulus(t *testing.T) {
	n := privates["RSA"]().Public().(*rsa.PublicKey).N
	for _, alg := range []string{"RS256", "PS256"} {
		good := sign(t, alg)
		wantReason(t, parsed(t, alg).verify(alg, []byte(signed), good), "")
		for name, bad := range map[string][]byte{
			"a zero byte before it":  append([]byte{0}, good...),
			"a zero byte behind it":  append(slices.Clone(good), 0),
			"its first byte missing": good[1:],
			"its last byte missing":  good[:len(good)-1],
			"empty":                  {},
			"of 4096 bits":           make([]byte, 512),
			"zero":                   make([]byte, 256),
			"one":                    append(make([]byte, 255), 1),
			"the modulus":            n.Bytes(),
			"the modulus less one":   new(big.Int).Sub(n, big.NewInt(1)).Bytes(),
			"not reduced":            new(big.Int).Add(n, new(big.Int).SetBytes(good)).Bytes(),
			"its negative":           new(big.Int).Sub(n, new(big.Int).SetBytes(good)).FillBytes(make([]byte, 256)),
			"as long, all bits set":  slices.Repeat([]byte{0xff}, 256),
			"the signature reversed": reversed(good),
			"behind 256 zero bytes":  append(make([]byte, 256), good...),
		} {
			if err := parsed(t, alg).verify(alg, []byte(signed), bad); ReasonOf(err) != SignatureFailed {
				t.Errorf("%s, %s: %v", alg, name, err)
			}
		}
	}
}

func reversed(b []byte) []byte {
	r := slices.Clone(b)
	slices.Reverse(r)
	return r
}

func TestAnECDSASignatureIsTwoNumbersOfTheExactSize(t *testing.T) {
	for _, alg := range []string{"ES256", "ES384", "ES512"} {
		key, good := parsed(t, alg), sign(t, alg)
		half := len(good) / 2
		n := key.public.(*ecdsa.PublicKey).Params().N
		r, s := new(big.Int).SetBytes(good[:half]), new(big.Int).SetBytes(good[half:])
		join := func(r, s *big.Int) []byte {
			out := make([]byte, 2*half)
			r.FillBytes(out[:half])
			s.FillBytes(out[half:])
			return out
		}
		der, err := asn1.Marshal([]*big.Int{r, s})
		if err != nil {
			t.Fatal(err)
		}
		zero, one, last := new(big.Int), big.NewInt(1), new(big.Int).Sub(n, big.NewInt(1))
		wantReason(t, key.verify(alg, []byte(signed), good), "")
		for name, bad := range map[string][]byte{
			"DER":                  der,
			"DER filled up":        append(der, make([]byte, max(0, 2*half-len(der)))...),
			"DER cut":              der[:min(len(der), 2*half)],
			"one byte short":       good[:len(good)-1],
			"one byte too long":    append(slices.Clone(good), 0),
			"a zero before each":   append(append(append([]byte{0}, good[:half]...), 0), good[half:]...),
			"r alone":              good[:half],
			"empty":                {},
			"r and s exchanged":    join(s, r),
			"r zero":               join(zero, s),
			"s zero":               join(r, zero),
			"both zero":            join(zero, zero),
			"both one":             join(one, one),
			"r the order":          join(n, s),
			"s the order":          join(r, n),
			"both the order":       join(n, n),
			"r the order less one": join(last, s),
			"s the order less one": join(r, last),
			"all bits set":         slices.Repeat([]byte{0xff}, 2*half),
			"r halved":             join(new(big.Int).Rsh(r, 1), s),
		} {
			if err := key.verify(alg, []byte(signed), bad); ReasonOf(err) != SignatureFailed {
				t.Errorf("%s, %s: %v", alg, name, err)
			}
		}
	}
}

func TestAnEd25519SignatureHas64BytesAndAReducedS(t *testing.T) {
	key, good := parsed(t, "EdDSA"), sign(t, "EdDSA")
	// The order of the group, 2^252 + 27742317777372353535851937790883648493.
	order, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	order.Add(order, new(big.Int).Lsh(big.NewInt(1), 252))
	s := new(big.Int).SetBytes(reversed(good[32:]))
	unreduced := append(slices.Clone(good[:32]), reversed(s.Add(s, order).FillBytes(make([]byte, 32)))...)
	wantReason(t, key.verify("EdDSA", []byte(signed), good), "")
	for name, bad := range map[string][]byte{
		"63 bytes": good[:63], "65 bytes": append(slices.Clone(good), 0), "empty": {}, "64 zeros": make([]byte, 64),
		"an s that is not reduced": unreduced,
	} {
		if err := key.verify("EdDSA", []byte(signed), bad); ReasonOf(err) != SignatureFailed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// broken stands for a library with a bug.
type broken struct{}

func (broken) Verify([]byte, []byte, any) error { panic("a bug") }

// A library that verifies may have a bug: that must neither end the process nor
// let a token pass.
func TestAPanicWhileVerifyingIsARefusalAndABug(t *testing.T) {
	whole := verifiers["EdDSA"]
	verifiers["EdDSA"] = broken{}
	defer func() { verifiers["EdDSA"] = whole }()
	p := profile(t)
	p.Keys = keySet(t, signer("k1", "EdDSA", "Ed25519"))
	_, err := prove(p, mint(t, signer("k1", "EdDSA", "Ed25519"), nil))
	wantReason(t, err, SignatureFailed)
	if refusal, ok := err.(*Refusal); !ok || !refusal.Bug {
		t.Errorf("%v does not say that it is a bug", err)
	}
}
