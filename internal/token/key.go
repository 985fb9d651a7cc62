package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Key is one public key of an issuer, fit to verify signatures.
type Key struct {
	ID string // kid, or ""

	kty, crv, alg string // alg: the only one the key is for, or ""
	public        crypto.PublicKey
	print         [sha256.Size]byte // tells whether two documents hold the same key
	retired       atomic.Bool
}

// Retired reports that the issuer has withdrawn the key; what it once verified
// no longer counts. Another goroutine may retire a key at any time.
func (k *Key) Retired() bool { return k.retired.Load() }

// material is, for each key type, the members that make a public key
// (RFC 7518 §6, 8037 §2), and those that only private or secret keys have.
var (
	material = map[string][]string{"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}
	private  = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
)

// ParseKey reads one JSON Web Key (RFC 7517 §4) that strangers' tokens may be
// verified with: RSA of at least 2048 bits, the three NIST curves, Ed25519.
func ParseKey(doc string) (*Key, error) {
	members, err := ParseObject(doc)
	if err != nil {
		return nil, err
	}
	k := &Key{}
	if err := k.readUse(members); err != nil {
		return nil, err
	}
	// jwx sees the key's material and nothing else: it is laxer than this, and
	// stumbles over members that it does not know.
	plain := map[string]any{"kty": k.kty}
	for _, name := range material[k.kty] {
		s, ok := members[name].(string)
		if !ok {
			return nil, fmt.Errorf("%s is missing", name)
		}
		plain[name] = s
	}
	if err := checkMaterial(k.kty, plain); err != nil {
		return nil, err
	}
	clean, err := json.Marshal(plain)
	if err != nil {
		return nil, fmt.Errorf("encoding the key: %w", err)
	}
	parsed, err := jwk.ParseKey(clean)
	if err != nil {
		return nil, fmt.Errorf("parsing the key: %w", err)
	}
	if err := parsed.Raw(&k.public); err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	k.print = sha256.Sum256(append(clean, "\x00"+k.ID+"\x00"+k.alg...))
	if err := k.checkPublic(); err != nil {
		return nil, err
	}
	return k, nil
}

// errEncrypts is a key that no signature was made with.
var errEncrypts = errors.New("use is enc, not sig")

// readUse takes what the key says it is for, and refuses what is not for us.
func (k *Key) readUse(members map[string]any) error {
	var ok bool
	if k.kty, ok = members["kty"].(string); !ok || material[k.kty] == nil {
		return fmt.Errorf("kty %.40v is not RSA, EC or OKP", members["kty"])
	}
	// What serializers write of members that are not set says nothing: .NET's
	// JsonWebKey has oth and key_ops as empty lists. Null was left out before.
	maps.DeleteFunc(members, func(_ string, v any) bool {
		list, is := v.([]any)
		return is && len(list) == 0 || v == ""
	})
	for _, name := range private {
		if _, has := members[name]; has {
			return fmt.Errorf("has the private member %s", name)
		}
	}
	if kid, has := members["kid"]; has {
		if k.ID, ok = kid.(string); !ok {
			return errors.New("kid is not a string")
		}
	}
	if use, has := members["use"]; has && use != "sig" && use != "jwt-svid" { // the latter is SPIFFE's (Trust Domain and Bundle §4.1.2)
		if use == "enc" {
			return errEncrypts
		}
		return fmt.Errorf("use is %.40v, not sig", use)
	}
	if ops, has := members["key_ops"]; has {
		_, isList := ops.([]any)
		if list, ok := words(ops); !isList || !ok || !slices.Contains(list, "verify") {
			return errors.New("key_ops does not list verify")
		}
	}
	if crv, has := members["crv"]; has {
		k.crv, _ = crv.(string)
	}
	if alg, has := members["alg"]; has {
		k.alg, _ = alg.(string)
		if k.alg == "" || !k.fits(k.alg) {
			return fmt.Errorf("alg %.40v does not fit a %s key, or is not supported", alg, k.kty)
		}
	}
	return nil
}

// checkMaterial bounds sizes before any library sees them, whatever that would
// make of others: such libraries were crashed, and got past.
func checkMaterial(kty string, plain map[string]any) error {
	sizes := map[string]int{}
	for name, v := range plain {
		if name == "kty" || name == "crv" {
			continue
		}
		b, err := decode(v.(string))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		sizes[name] = len(b)
	}
	want := map[any]int{"P-256": 32, "P-384": 48, "P-521": 66, "Ed25519": 32}[plain["crv"]]
	switch {
	case kty == "RSA" && (sizes["e"] < 1 || sizes["e"] > 4 || sizes["n"] > 1024):
		return errors.New("modulus over 8192 bits, or an exponent that is empty or over 32 bits")
	case kty == "RSA":
		return nil
	case want == 0 || (kty == "OKP") != (plain["crv"] == "Ed25519"):
		return fmt.Errorf("curve %.40v is not supported", plain["crv"])
	case sizes["x"] != want || (kty == "EC" && sizes["y"] != want):
		return errors.New("coordinates of a wrong length")
	}
	return nil
}

// checkPublic looks at what came out, with the standard library's own types.
func (k *Key) checkPublic() error {
	switch public := k.public.(type) {
	case rsa.PublicKey:
		k.public = &public
		return k.checkPublic()
	case *rsa.PublicKey:
		switch {
		case public.N.BitLen() < 2048:
			return fmt.Errorf("modulus of %d bits, under 2048", public.N.BitLen())
		case public.N.Bit(0) == 0 || public.E < 3 || public.E&1 == 0:
			return errors.New("an even modulus or exponent, or an exponent under 3")
		case faultyGenerator(public.N):
			return errors.New("a modulus of a generator known to be broken (CVE-2017-15361)")
		}
		return nil
	case ecdsa.PublicKey:
		k.public = &public
		return k.checkPublic()
	case *ecdsa.PublicKey:
		if _, err := public.ECDH(); err != nil {
			return errors.New("the point is not on its curve")
		}
		return nil
	case ed25519.PublicKey:
		if len(public) != ed25519.PublicKeySize {
			return errors.New("an Ed25519 key of a wrong length")
		}
		return nil
	}
	return fmt.Errorf("unexpected key type %T", k.public)
}

// fits reports whether the key may verify signatures of alg: its own alg if it
// has one, else what its type and curve allow (RFC 8725 §3.1).
func (k *Key) fits(alg string) bool {
	a, ok := algorithms[alg]
	return ok && a.kty == k.kty && (a.crv == "" || a.crv == k.crv) &&
		(k.alg == "" || algorithms[k.alg].bit == a.bit)
}

// verifier checks a signature over a payload: jwx, and in tests one that fails.
type verifier interface {
	Verify(payload, signature []byte, key any) error
}

// verifiers are stateless; making them once keeps jwx's global lock off the
// way of a request.
var verifiers = func() map[string]verifier {
	made := map[string]verifier{}
	for name := range algorithms {
		known := jwa.SignatureAlgorithm(name)
		if name == "Ed25519" {
			known = jwa.EdDSA // jwx v2 does not know the name of RFC 9864
		}
		v, err := jws.NewVerifier(known)
		if err != nil {
			panic("token: jwx has no verifier for " + name)
		}
		made[name] = v
	}
	return made
}()

var pssHash = map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512}

// verify checks one signature. The caller has asked fits.
func (k *Key) verify(alg string, signed, signature []byte) (err error) {
	// A panic in there would be a bug of ours or of a library. It must not
	// take the gateway down, and it must not pass.
	defer func() {
		if p := recover(); p != nil {
			err = &Refusal{Reason: SignatureFailed, Detail: fmt.Sprintf("verifying %s panicked: %v", alg, p), Bug: true}
		}
	}()
	size := algorithms[alg].size
	if rsaKey, ok := k.public.(*rsa.PublicKey); ok {
		size = rsaKey.Size()
	}
	if len(signature) != size {
		return refuse(SignatureFailed, "a signature of a wrong length")
	}
	if hash, pss := pssHash[alg]; pss {
		h := hash.New()
		h.Write(signed)
		// Not by jwx: RFC 7518 §3.5 fixes the salt's length, so it is told here.
		err = rsa.VerifyPSS(k.public.(*rsa.PublicKey), hash, h.Sum(nil), signature,
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	} else {
		err = verifiers[alg].Verify(signed, signature, k.public)
	}
	if err != nil {
		return refuse(SignatureFailed, "")
	}
	return nil
}
