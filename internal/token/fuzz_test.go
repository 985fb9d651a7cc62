package token

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

// FuzzParse: whatever strangers send, the front door holds, and what passes
// has one spelling and means the same to every strict reader.
func FuzzParse(f *testing.F) {
	for _, alg := range []string{"ES256", "EdDSA"} {
		f.Add(mint(f, signer("k1", alg, familyOf(alg)), nil))
	}
	good := mint(f, k1(), map[string]any{"aud": []string{"a", "b"}, "exp": 1.5, "scp": []string{"x"}})
	for _, raw := range []string{
		good, good + "=", good + "\n", "." + good, good + ".", "..", "", "e30.e30.AA", "e30.e30.AB",
		mintRaw(f, k1(), `{"alg":"ES256","crit":["b64"],"b64":false}`, `{}`),
		mintRaw(f, k1(), `{"alg":"none"}`, `{"iss":"a","\u0069ss":"b"}`),
		mintRaw(f, k1(), "{\"alg\":\"ES256\",\"kid\":\"\\u0000\"}", `{"exp":1e999,"nbf":-0.0}`),
	} {
		f.Add(raw)
	}
	p := profile(f)
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := Parse(raw)
		if err != nil {
			if ReasonOf(err) == "" {
				t.Fatalf("an error of Parse is no refusal: %v", err)
			}
			_, _ = PayloadClaims(raw)
			return
		}
		if len(raw) > MaxSize || strings.Count(raw, ".") != 2 {
			t.Fatal("no compact token of a bounded size")
		}
		if u.signed+"."+b64(u.signature) != raw {
			t.Fatal("a second spelling of the signature")
		}
		for part := range strings.SplitSeq(u.signed, ".") {
			b, err := decode(part)
			if err != nil || b64(b) != part {
				t.Fatalf("a second spelling of %q: %v", part, err)
			}
			if !json.Valid(b) {
				t.Fatalf("no JSON: %q", b)
			}
		}
		if c, err := PayloadClaims(raw); err != nil || !reflect.DeepEqual(c, u.Claims) {
			t.Fatalf("the claims are others the second time: %v", err)
		}
		u.Claims.Scope()
		u.Claims.Audience()
		u.Claims.Lookup("a.b.c")
		u.Claims.Met("/a/0/b")
		if _, err := p.Verify(t.Context(), u, noon); err != nil && ReasonOf(err) == "" {
			t.Fatalf("a stranger's token makes a failure: %v", err)
		}
	})
}

// FuzzParseObject compares with encoding/json: what is accepted here means the
// same there; what is refused here and not there has one of the faults that
// are refused on purpose.
func FuzzParseObject(f *testing.F) {
	for _, doc := range []string{
		`{}`, `{"a":1}`, `{"a":[1,2,{"b":null}],"c":true,"d":-1.5e+3}`, `{"a":"\ud83d\ude00\n"}`, `{"a":"\ud800"}`,
		`{"a":1,"\u0061":2}`, "{\"a\":\"\xff\"}", "\ufeff{}", `{}{}`, `{"a":01}`, `{"a":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}`,
		` { "a" : [ ] , "b" : { } } `, `{"a":1e400,"b":-0}`, `{"a":"\/\b\f"}`, "{\"a\":\"\u2028\x7f\"}", `{"a":truefalse}`,
		`{"":1e1000,"":0}`,
	} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		ours, err := ParseObject(doc)
		var theirs map[string]any
		d := json.NewDecoder(strings.NewReader(doc))
		d.UseNumber()
		valid := json.Valid([]byte(doc)) && d.Decode(&theirs) == nil && theirs != nil
		for name, v := range theirs {
			if v == nil { // is not there
				delete(theirs, name)
			}
		}
		twice, deep := faults(doc)
		switch {
		case err == nil && !valid:
			t.Fatalf("%q: accepted here alone", doc)
		case err == nil && (twice || deep > maxDepth):
			t.Fatalf("%q: a name twice (%t), depth %d", doc, twice, deep)
		case err == nil && !reflect.DeepEqual(ours, theirs):
			t.Fatalf("%q: %#v here, %#v there", doc, ours, theirs)
		case err != nil && valid && !twice && deep < maxDepth && utf8.ValidString(doc) && !halfPair(theirs):
			t.Fatalf("%q: refused for no reason: %v", doc, err)
		}
	})
}

// faults walks the document with encoding/json: does an object have a name
// twice, and how many levels are there?
func faults(doc string) (twice bool, deepest int) {
	type level struct {
		names  map[string]bool // nil in a list
		isName bool            // the next token is a name
	}
	var open []level
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber() // else 1e1000 ends the walk
	for {
		token, err := d.Token()
		if err != nil { // the end, or what encoding/json refuses too
			return twice, deepest
		}
		switch at := len(open) - 1; {
		case token == json.Delim('}') || token == json.Delim(']'):
			open = open[:at]
			continue
		case at >= 0 && open[at].isName:
			name := token.(string)
			twice = twice || open[at].names[name]
			open[at].names[name], open[at].isName = true, false
			continue
		case at >= 0 && open[at].names != nil:
			open[at].isName = true // behind this value
		}
		switch token {
		case json.Delim('{'):
			open = append(open, level{names: map[string]bool{}, isName: true})
		case json.Delim('['):
			open = append(open, level{})
		}
		deepest = max(deepest, len(open))
	}
}

// halfPair finds what encoding/json puts in the place of half a pair.
func halfPair(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, "\ufffd")
	case []any:
		return slices.ContainsFunc(v, halfPair)
	case map[string]any:
		for name, e := range v {
			if halfPair(name) || halfPair(e) {
				return true
			}
		}
	}
	return false
}

func seedKeys(f *testing.F) []string {
	seeds := []string{`{}`, `{"kty":"oct","k":"AAAA"}`, `{"kty":"OKP","crv":"Ed25519","x":"` + b64(make([]byte, 31)) + `"}`}
	for alg := range algorithms {
		seeds = append(seeds, jwkOf(f, signer("k1", alg, familyOf(alg)), nil))
	}
	return append(seeds,
		jwkOf(f, keyOf("RSA"), map[string]any{"e": b64([]byte{255, 255, 255, 255})}),
		jwkOf(f, keyOf("RSA"), map[string]any{"alg": absent{}, "n": modulus(8192)}),
		jwkOf(f, keyOf("P-256"), map[string]any{"key_ops": []string{"verify"}, "use": absent{}}))
}

// FuzzParseKey: a key that is taken never makes verifying panic, whatever the
// signature.
func FuzzParseKey(f *testing.F) {
	for _, doc := range seedKeys(f) {
		for _, n := range []int{0, 64, 256} {
			f.Add(doc, make([]byte, n))
		}
	}
	f.Fuzz(func(t *testing.T, doc string, signature []byte) {
		key, err := ParseKey(doc)
		if (err == nil) != (key != nil) {
			t.Fatal("a key and an error, or neither")
		}
		if err != nil {
			return
		}
		fits := 0
		for alg, a := range algorithms {
			if !key.fits(alg) {
				continue
			}
			fits++
			right := make([]byte, max(a.size, 256)) // of the right length for most keys
			copy(right, signature)
			for _, s := range [][]byte{signature, right, right[:max(a.size, 64)]} {
				if refusal, ok := key.verify(alg, []byte(signed), s).(*Refusal); ok && refusal.Bug {
					t.Fatal(refusal)
				}
			}
		}
		if fits == 0 {
			t.Fatal("a key that is for nothing")
		}
	})
}

// FuzzParseKeySet: a set has some keys or is an error, and its keys are found
// again.
func FuzzParseKeySet(f *testing.F) {
	for _, doc := range seedKeys(f) {
		f.Add([]byte(`{"keys":[` + doc + `,{"kty":"oct"},` + doc + `]}`))
	}
	f.Add(jwssign.Set(k1(), signer("k2", "EdDSA", "Ed25519")))
	for _, doc := range []string{`{"keys":[]}`, `{"keys":null}`, `{}`, `[]`, `{"keys":[],"keys":[]}`, `{"keys":{}}`} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		set, skipped, err := ParseKeySet(doc)
		if err != nil {
			if set != nil {
				t.Fatal("a set and an error")
			}
			return
		}
		if n := set.Len(); n == 0 || n+len(skipped) > maxKeys+1 {
			t.Fatalf("%d keys, %d skipped", n, len(skipped))
		}
		for _, key := range set.keys {
			found := key.ID == ""
			for alg := range algorithms {
				fit, known, _ := set.candidates(key.ID, alg, every(t))
				for _, k := range fit {
					found = found || k == key
				}
				if known != (key.ID != "") {
					t.Fatalf("the kid %q is not known", key.ID)
				}
			}
			if !found {
				t.Fatalf("the key %q is not found", key.ID)
			}
		}
		again, _, err := ParseKeySet(doc)
		if err != nil {
			t.Fatal(err)
		}
		if Replace(set, again).Len() != set.Len() || set.keys[0].Retired() {
			t.Fatal("the same document is another set")
		}
	})
}
