package token

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// remembered is a principal of a token that was recognised: its claims have to be
// decoded from it.
func remembered(facts *Facts, raw string) *Principal {
	return (&Profile{Issuer: issuer}).Principal(nil, facts, raw, nil)
}

func TestWhatIsAskedForIsDecodedOnce(t *testing.T) {
	raw := mint(t, k1(), map[string]any{
		"email": "alice@example.com", "groups": []string{"staff", "admin"}, "level": 3, "member": true,
		"realm_access": map[string]any{"roles": []string{"a"}, "depth": map[string]any{"n": 1.5}},
	})
	facts := &Facts{Subject: "alice", Decoded: new(Decoded)}
	want := map[string]any{
		"email": "alice@example.com", "groups": []any{"staff", "admin"}, "level": json.Number("3"), "member": true,
		"realm_access.roles": []any{"a"}, "/realm_access/depth": map[string]any{"n": json.Number("1.5")}, "absent": nil,
	}
	for path, claim := range want {
		if got, has := remembered(facts, raw).Claim(path); !reflect.DeepEqual(got, claim) || has != (claim != nil) {
			t.Errorf("%s: %v, want %v", path, got, claim)
		}
	}
	for path, claim := range want { // no token is there to decode them from
		if got, has := remembered(facts, "").Claim(path); !reflect.DeepEqual(got, claim) || has != (claim != nil) {
			t.Errorf("%s is not remembered: %v, want %v", path, got, claim)
		}
	}
	if got := testing.AllocsPerRun(10, func() { facts.Decoded.find("groups", asItIs) }); got != 0 {
		t.Errorf("%v allocations to find one", got)
	}
}

func TestWhatIsKeptOfATokensClaimsIsBounded(t *testing.T) {
	facts := &Facts{Decoded: new(Decoded)}
	large := strings.Repeat("x", mostDecoded)
	many := make([]any, mostDecoded/2)
	for _, claim := range []any{large, json.Number(strings.Repeat("1", mostDecoded)), []any{large}, many, map[string]any{large: nil}, map[string]any{"a": large}} {
		raw := mint(t, k1(), map[string]any{"claim": claim})
		if got, _ := remembered(facts, raw).Claim("claim"); got == nil {
			t.Fatalf("%.20v is not there", claim)
		}
	}
	if size := facts.Decoded.Size(); size != 0 || facts.Decoded.Grew() {
		t.Errorf("%d bytes are kept of claims that are too large", size)
	}
	for n := range 1000 { // as a template might ask that a stranger feeds
		remembered(facts, "").Claim(fmt.Sprintf("made-up-%d", n))
	}
	if size := facts.Decoded.Size(); size == 0 || size > mostDecoded || !facts.Decoded.Grew() || facts.Decoded.Grew() {
		t.Errorf("%d bytes are kept, want at most %d", size, mostDecoded)
	}
	if kept := len(facts.Decoded.claims.Load().all); kept > mostDecoded/costOfEntry {
		t.Errorf("%d claims are kept", kept)
	}
}

func TestATextOfAClaimIsWrittenOnceAndOfTheTokenItselfAlone(t *testing.T) {
	const shout, whisper Form = 1, 2
	written := 0
	write := func(claim any) (string, error) {
		written++
		if claim == "unsafe" {
			return "", fmt.Errorf("not this one")
		}
		return fmt.Sprintf("%v!", claim), nil
	}
	raw := mint(t, k1(), map[string]any{"email": "alice", "level": 3, "bad": "unsafe"})
	facts := &Facts{Subject: "s", Decoded: new(Decoded)}
	want := func(p *Principal, path string, form Form, text string, writes int) {
		t.Helper()
		before := written
		if got, err := p.Text(path, form, write); got != text || err != nil || written-before != writes {
			t.Errorf("%s: %q (%v) with %d writes, want %q with %d", path, got, err, written-before, text, writes)
		}
	}
	want(remembered(facts, raw), "email", shout, "alice!", 1)
	want(remembered(facts, ""), "email", shout, "alice!", 0)
	want(remembered(facts, raw), "email", whisper, "alice!", 1)
	want(remembered(facts, raw), "sub", shout, "s!", 1)
	want(remembered(facts, raw), "sub", shout, "s!", 0)
	// What stands beside the token is of one log-in, and the token may be of two.
	for _, more := range []string{"of one", "of another"} {
		p := remembered(facts, raw)
		p.Beside(func(path string) any { return Claims{"nick": more}[path] })
		want(p, "nick", shout, more+"!", 1)
		want(p, "email", shout, "alice!", 0)
	}
	for range 2 {
		if _, err := remembered(facts, raw).Text("bad", shout, write); err == nil {
			t.Error("what was refused once is taken the next time")
		}
	}
}

func TestWithdrawnScopeIsInNoClaimThatIsRemembered(t *testing.T) {
	raw := mint(t, k1(), map[string]any{"scope": nil, "scp": []string{"read", "write"}})
	facts := &Facts{Scope: "read write", Decoded: new(Decoded)}
	before, _ := remembered(facts, raw).Claim("scp")
	less := remembered(facts, raw)
	less.Withdraw("write")
	if got, _ := less.Claim("scp"); !reflect.DeepEqual(got, []any{"read"}) {
		t.Errorf("scp is %v when write was withdrawn", got)
	}
	if after, _ := remembered(facts, raw).Claim("scp"); !reflect.DeepEqual(before, after) || len(after.([]any)) != 2 {
		t.Errorf("scp was %v and is %v", before, after)
	}
}

// One that did not find a claim may come to keep it after another did.
func TestAClaimIsKeptOnce(t *testing.T) {
	var d Decoded
	for range 2 {
		d.add(decodedClaim{path: "sub", claim: "alice"})
		d.add(decodedClaim{path: "sub", form: 1, text: "ALICE"})
	}
	if kept := len(d.claims.Load().all); kept != 2 {
		t.Errorf("%d claims are kept, want 2", kept)
	}
}

func TestSeveralMayAskOfOneTokenAtATime(t *testing.T) {
	raw := mint(t, k1(), map[string]any{"a": "1", "b": []string{"2"}, "c": 3})
	facts := &Facts{Decoded: new(Decoded)}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				for path, want := range map[string]string{"a": "1", "b": "[2]", "c": "3"} {
					if got, _ := remembered(facts, raw).Claim(path); fmt.Sprint(got) != want {
						t.Errorf("%s: %v", path, got)
					}
				}
			}
		})
	}
	all.Wait()
	if kept := len(facts.Decoded.claims.Load().all); kept != 3 {
		t.Errorf("%d claims are kept, want 3", kept)
	}
}
