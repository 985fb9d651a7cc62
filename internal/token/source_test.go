package token

import (
	"errors"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

// Rules 22 and 23: what a token may make the gateway ask its issuer.

func TestATokenThatCannotPassAsksForNoKeys(t *testing.T) {
	for name, row := range map[string]struct {
		raw    string
		strict bool
		want   Reason
	}{
		"an opaque token":         {raw: "opaque", want: NotJWT},
		"a second spelling":       {raw: mint(t, k1(), nil) + "=", want: Malformed},
		"crit":                    {raw: mintRaw(t, k1(), `{"alg":"ES256","kid":"x","crit":["x"]}`, ""), want: HeaderRefused},
		"another issuer":          {raw: mint(t, k1(), map[string]any{"iss": "https://attacker.example"}), want: IssuerUnknown},
		"alg none":                {raw: mintRaw(t, k1(), `{"alg":"none","kid":"x"}`, ""), want: AlgRefused},
		"a DPoP proof":            {raw: mintRaw(t, k1(), `{"alg":"ES256","kid":"x","typ":"dpop+jwt"}`, ""), want: TypeRefused},
		"a JWT where at+jwt must": {raw: mintRaw(t, k1(), `{"alg":"ES256","kid":"x","typ":"JWT"}`, ""), strict: true, want: TypeRefused},
		"an ID token":             {raw: mint(t, k1(), map[string]any{"nonce": "n"}), want: IDToken},
		"a claim of a wrong type": {raw: mint(t, k1(), map[string]any{"exp": "soon"}), want: ClaimType},
		"no exp":                  {raw: mint(t, k1(), map[string]any{"exp": absent{}}), want: ClaimMissing},
		"no jti where it must be": {raw: mint(t, k1(), map[string]any{"jti": absent{}}), strict: true, want: ClaimMissing},
		"an expired token":        {raw: mint(t, k1(), map[string]any{"exp": noon.Unix() - 1}), want: Expired},
		"a token of tomorrow":     {raw: mint(t, k1(), map[string]any{"nbf": noon.Unix() + 86400}), want: NotYetValid},
		"another audience":        {raw: mint(t, k1(), map[string]any{"aud": "api://other"}), want: WrongAudience},
	} {
		t.Run(name, func(t *testing.T) {
			src := &source{set: keySet(t, signer("another", "ES256", "P-256"))}
			p := profile(t)
			p.Keys, p.Strict = src, row.strict
			_, err := prove(p, row.raw)
			wantReason(t, err, row.want)
			if src.keys+src.newer > 0 {
				t.Errorf("%d calls for keys, %d for newer ones", src.keys, src.newer)
			}
		})
	}
}

func TestOnlyAnUnknownKeyAsksForNewerKeysAndOnlyOnce(t *testing.T) {
	other := func(kid string) *jwssign.Key { return signer(kid, "ES256", "other P-256") }
	both := keySet(t, k1(), other("k2"))
	for name, row := range map[string]struct {
		key   *jwssign.Key
		next  *KeySet // what Newer answers; nil: the same set
		want  Reason
		newer int
	}{
		"a known kid":                                    {k1(), both, "", 0},
		"a known kid and a bad signature":                {other("k1"), both, SignatureFailed, 0},
		"a known kid and an alg that does not fit":       {signer("k1", "ES384", "P-384"), both, KeyMismatch, 0},
		"an unknown kid":                                 {other("k2"), nil, KeyUnknown, 1},
		"an unknown kid that the newer set has":          {other("k2"), both, "", 1},
		"an unknown kid that the newer set has not":      {other("k3"), both, KeyUnknown, 1},
		"an unknown kid, then a bad signature":           {k1With("k2"), both, SignatureFailed, 1},
		"an unknown kid for an alg that nothing fits":    {signer("k2", "ES384", "P-384"), both, KeyMismatch, 1},
		"no kid, and a key verifies":                     {k1With(""), both, "", 0},
		"no kid, and no key verifies":                    {other(""), nil, KeyUnknown, 1},
		"no kid, and a key of the newer set verifies":    {other(""), both, "", 1},
		"no kid, and none of the newer set verifies":     {signer("", "EdDSA", "Ed25519"), both, KeyUnknown, 1},
		"no kid, a set of keys for other things, no new": {signer("", "RS256", "RSA"), nil, KeyUnknown, 1},
	} {
		t.Run(name, func(t *testing.T) {
			src := &source{set: keySet(t, k1()), next: row.next}
			p := profile(t)
			p.Keys = src
			_, err := prove(p, mint(t, row.key, nil))
			wantReason(t, err, row.want)
			if src.keys != 1 || src.newer != row.newer {
				t.Errorf("%d calls for keys, %d for newer ones, want 1 and %d", src.keys, src.newer, row.newer)
			}
			if src.newer > 0 && src.newerWasAskedOf != src.set {
				t.Error("newer than which set was not said")
			}
		})
	}
}

// k1With is the good key under another kid.
func k1With(kid string) *jwssign.Key { return signer(kid, "ES256", "P-256") }

func TestAFailureToGetKeysIsNoRefusal(t *testing.T) {
	down := errors.New("the issuer is down")
	for name, src := range map[string]*source{
		"of the set":     {failKeys: down},
		"of a newer one": {set: keySet(t, signer("k2", "ES256", "P-256")), failNewer: down},
	} {
		p := profile(t)
		p.Keys = src
		_, err := prove(p, mint(t, k1(), nil))
		if _, refused := errors.AsType[*Refusal](err); refused || !errors.Is(err, down) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAKeyOfOneIssuerProvesNothingForAnother(t *testing.T) {
	p := profile(t)
	p.Issuer = "https://other.example.com"
	p.Keys = keySet(t, signer("k1", "ES256", "other P-256"))
	_, err := prove(p, mint(t, k1(), map[string]any{"iss": p.Issuer}))
	wantReason(t, err, SignatureFailed)
}
