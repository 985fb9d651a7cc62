package token

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

// Rules 13 and 24: what a set keeps, and what becomes of keys that go.

func TestAnOddKeyIsSkippedAndTheRestKept(t *testing.T) {
	good := jwkOf(t, k1(), nil)
	for name, odd := range map[string]string{
		"an oct key":               `{"kty":"oct","kid":"odd","k":"AAAA"}`,
		"a private key":            jwkOf(t, signer("odd", "ES256", "other P-256"), map[string]any{"d": "AAAA"}),
		"a key for encryption":     jwkOf(t, signer("odd", "ES256", "P-256"), map[string]any{"use": "enc"}),
		"an algorithm of tomorrow": `{"kty":"AKP","kid":"odd","alg":"ML-DSA-44","pub":"AAAA"}`,
		"Ed25519 of 31 bytes":      `{"kty":"OKP","kid":"odd","crv":"Ed25519","x":"` + b64(make([]byte, 31)) + `"}`,
		"an empty object":          `{}`,
		"null":                     `null`,
		"a number":                 `1`,
		"a text":                   `"kty"`,
		"a list":                   `[` + good + `]`,
		"a name twice":             strings.Replace(good, "{", `{"kty":"EC",`, 1),
		"broken UTF-8":             "{\"kid\":\"\xff\"}",
		"deep nesting":             `{"kid":"odd","x":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			set, skipped, err := ParseKeySet([]byte(`{"keys":[` + odd + `,` + good + `]}`))
			if err != nil || set.Len() != 1 {
				t.Fatal(set, err)
			}
			if len(skipped) != 1 || skipped[0].Index != 0 || skipped[0].Err == nil {
				t.Errorf("skipped %+v", skipped)
			}
			p := profile(t)
			p.Keys = set
			_, err = prove(p, mint(t, k1(), nil))
			wantReason(t, err, "")
			if set, _, err := ParseKeySet([]byte(`{"keys":[` + odd + `]}`)); err == nil || set != nil {
				t.Error("a set without a usable key is no error")
			}
		})
	}
}

func TestASkippedKeyIsNamedByItsKid(t *testing.T) {
	_, skipped, _ := ParseKeySet([]byte(`{"keys":[{"kty":"oct","kid":"odd"},{"kid":"` + strings.Repeat("x", 500) + `"}]}`))
	if len(skipped) != 2 || skipped[0].KeyID != "odd" || len(skipped[1].KeyID) > 130 {
		t.Errorf("%+v", skipped)
	}
}

func TestADocumentThatIsNoKeySetIsAnError(t *testing.T) {
	good := jwkOf(t, k1(), nil)
	for name, doc := range map[string]string{
		"nothing":                 ``,
		"a page":                  `<html></html>`,
		"null":                    `null`,
		"a list":                  `[` + good + `]`,
		"a key alone":             good,
		"no keys":                 `{}`,
		"an empty list":           `{"keys":[]}`,
		"keys null":               `{"keys":null}`,
		"keys an object":          `{"keys":{"k1":` + good + `}}`,
		"keys a text":             `{"keys":"` + "x" + `"}`,
		"keys under another name": `{"KEYS":[` + good + `]}`,
		"keys with a long s":      `{"keyſ":[` + good + `]}`,
		"cut short":               `{"keys":[` + good,
		"something behind":        `{"keys":[` + good + `]}{}`,
		"an error answer":         `{"error":"server_error"}`,
		"two byte order marks":    "\ufeff\ufeff" + `{"keys":[` + good + `]}`,
		"keys twice":              `{"keys":[` + good + `],"keys":[` + good + `]}`,
		"keys twice, escaped":     `{"keys":[` + good + `],"\u006beys":[` + good + `]}`,
	} {
		if set, _, err := ParseKeySet([]byte(doc)); err == nil || set != nil {
			t.Errorf("%s: taken as a set of %d", name, set.Len())
		}
	}
	set, _, err := ParseKeySet([]byte("\ufeff" + `{"keys":[` + good + `],"x":1}`))
	if err != nil || set.Len() != 1 {
		t.Error("behind a byte order mark:", set.Len(), err)
	}
}

func TestOfManyKeysAsManyAreUsedAsAreLookedAt(t *testing.T) {
	ours, other := jwkOf(t, k1(), nil), jwkOf(t, signer("", "ES256", "other P-256"), nil)
	first := `{"keys":[` + ours
	set, skipped, err := ParseKeySet([]byte(first + strings.Repeat(","+other, maxKeys-1) + `]}`))
	if err != nil || set.Len() != maxKeys || skipped != nil {
		t.Fatal(set.Len(), skipped, err)
	}
	if fit, _, _ := set.candidates("", "ES256", every(t)); len(fit) != maxTried {
		t.Errorf("a token without a kid makes us try %d keys", len(fit))
	}
	p := profile(t)
	p.Keys = set
	_, err = prove(p, mint(t, k1(), nil))
	wantReason(t, err, "")
	set, skipped, err = ParseKeySet([]byte(first + strings.Repeat(","+other, maxKeys+6) + `]}`))
	if err != nil || set.Len() != maxKeys || len(skipped) != 1 || !strings.Contains(skipped[0].String(), "key 1001: it and what follows: the set has 1007 keys") {
		t.Errorf("%d of 1007 keys, %v, %v", set.Len(), skipped, err)
	}
}

func TestASetWithoutAUsableKeySaysWhatIsWrongWithEach(t *testing.T) {
	_, _, err := ParseKeySet([]byte(`{"keys":[{"kty":"oct","kid":"a\u001b"},{"kty":"RSA","kid":"b","use":"enc"},{"kty":"EC","crv":"P-256","alg":"ES999"}` + strings.Repeat(",{}", maxTold) + `]}`))
	for _, want := range []string{`key 1 (kid "a\x1b"): kty oct is not RSA, EC or OKP`, `key 2 (kid "b"): use is enc, not sig`, "key 3: alg ES999 does not fit", "and 3 more"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, without %s", err, want)
		}
	}
}

func TestKeysWithOneKidAreToldApartByType(t *testing.T) {
	p := profile(t)
	keys := []*jwssign.Key{
		signer("same", "RS256", "RSA"), signer("same", "ES256", "P-256"), signer("same", "ES384", "P-384"),
		signer("same", "EdDSA", "Ed25519"), signer("same", "ES256", "other P-256"),
	}
	p.Keys = keySet(t, keys...)
	for i, key := range keys {
		facts, err := prove(p, mint(t, key, nil))
		if err != nil || facts.Key != p.Keys.(*KeySet).keys[i] {
			t.Errorf("%s: %v", key.Alg, err)
		}
	}
	_, err := prove(p, mint(t, signer("same", "ES512", "P-521"), nil))
	wantReason(t, err, KeyMismatch)
}

func TestReplaceKeepsSameKeysAndRetiresGoneOnes(t *testing.T) {
	stays, goes, comes := k1(), signer("k2", "EdDSA", "Ed25519"), signer("k3", "ES384", "P-384")
	old := keySet(t, stays, goes)
	next := Replace(old, keySet(t, comes, stays))
	if next.Len() != 2 || next.byID["k1"][0] != old.byID["k1"][0] {
		t.Error("the key that stays is not the same one")
	}
	if next.byID["k1"][0].Retired() || next.byID["k3"][0].Retired() {
		t.Error("a key in force is retired")
	}
	if !old.byID["k2"][0].Retired() {
		t.Error("a key that is gone is not retired")
	}
	if back := Replace(next, keySet(t, stays, goes)); back.byID["k2"][0].Retired() || back.byID["k2"][0] == old.byID["k2"][0] {
		t.Error("a key that comes back is not a new one")
	}
}

func TestAChangedKeyIsAnotherKey(t *testing.T) {
	for name, now := range map[string]string{
		"the kid stays, the key is new":  jwkOf(t, signer("k1", "ES256", "other P-256"), nil),
		"the key stays, the kid is new":  jwkOf(t, signer("k9", "ES256", "P-256"), nil),
		"the key no longer names an alg": jwkOf(t, k1(), map[string]any{"alg": absent{}}),
	} {
		old := keySet(t, k1())
		next := Replace(old, setOf(t, now))
		if !old.keys[0].Retired() || next.keys[0].Retired() || next.keys[0] == old.keys[0] {
			t.Error(name)
		}
	}
}

func TestReplaceTakesNoSetOnEitherSide(t *testing.T) {
	set := keySet(t, k1())
	if first := Replace(nil, set); first.Len() != 1 || first.keys[0] != set.keys[0] || first.keys[0].Retired() {
		t.Error("the first set is not what was given")
	}
	if gone := Replace(set, nil); gone != nil || !set.keys[0].Retired() || gone.Len() != 0 {
		t.Error("the end of a set does not retire its keys")
	}
	if Replace(nil, nil) != nil {
		t.Error("nothing replaced by nothing is something")
	}
}

func TestAKeyTwiceInASetIsStillTheSameKeyAfterwards(t *testing.T) {
	twice := jwkOf(t, k1(), nil)
	old := setOf(t, twice, twice)
	facts, err := prove(&Profile{Issuer: issuer, Algorithms: every(t), Keys: old}, mint(t, k1(), nil))
	if err != nil {
		t.Fatal(err)
	}
	Replace(old, setOf(t, twice, twice))
	if facts.Key.Retired() {
		t.Error("the key that verified is retired and the issuer still publishes it")
	}
}

func TestKeysMayBeRetiredWhileTokensAreJudged(t *testing.T) {
	set := keySet(t, k1())
	p := profile(t)
	p.Keys = set
	raw := mint(t, k1(), nil)
	facts, err := prove(p, raw)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				if _, err := p.Judge(facts, noon); err != nil {
					t.Error(err)
				}
				if _, err := prove(p, raw); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for range 50 {
			Replace(set, nil)
		}
	})
	all.Wait()
}

func TestAFixedSetIsItsOwnSource(t *testing.T) {
	set := keySet(t, k1())
	now, err := set.Keys(context.Background())
	newer, err2 := set.Newer(context.Background(), set)
	if now != set || newer != set || err != nil || err2 != nil {
		t.Error(now, newer, err, err2)
	}
	_, err = prove(profile(t), mint(t, signer("k2", "ES256", "P-256"), nil))
	wantReason(t, err, KeyUnknown)
}

func TestATokenWithoutAKidIsTriedWithEachFittingKey(t *testing.T) {
	keys := []string{jwkOf(t, signer("", "RS256", "RSA"), nil), jwkOf(t, signer("a", "ES384", "P-384"), nil), jwkOf(t, signer("b", "ES256", "other P-256"), nil)}
	for i := range 5 {
		keys = append(keys, jwkOf(t, signer(fmt.Sprint(i), "ES256", "P-256"), nil))
	}
	p := profile(t)
	p.Keys = setOf(t, keys...)
	facts, err := prove(p, mint(t, signer("", "ES256", "P-256"), nil))
	if err != nil || facts.Key.ID != "0" {
		t.Error(facts, err)
	}
	// A key that has no kid is found by no kid.
	_, err = prove(p, mint(t, signer("x", "RS256", "RSA"), nil))
	wantReason(t, err, KeyUnknown)
}

// The metadata said what an RSA key without an alg is for, and take it back:
// what was remembered of a token signed with such an algorithm passed on.
func TestAKeyThatIsForOtherAlgorithmsNowRetiresTheOneBefore(t *testing.T) {
	doc := []byte(`{"keys":[` + jwkOf(t, signer("k1", "RS256", "RSA"), map[string]any{"alg": absent{}}) + `,` +
		jwkOf(t, signer("k2", "RS256", "RSA"), nil) + `]}`)
	parse := func(named ...string) *KeySet {
		set, _, err := ParseKeySet(doc, named...)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	old := parse("RS256", "RS512")
	same := Replace(old, parse("RS256", "RS512"))
	next := Replace(same, parse("RS256"))
	if old.byID["k1"][0] != same.byID["k1"][0] || !same.byID["k1"][0].Retired() {
		t.Error("the plain key stays when its algorithms do, and not when they change")
	}
	if next.byID["k1"][0].Retired() || old.byID["k2"][0].Retired() || next.byID["k2"][0] != old.byID["k2"][0] {
		t.Error("the new one counts, and one with an alg of its own is the same whatever the metadata say")
	}
}
