package token

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// Rules 7, 8 and 14 to 16: what the payload says.

func TestARegisteredClaimHasItsTypeOrTheTokenIsRefused(t *testing.T) {
	type list = []any
	type object = map[string]any
	for name, values := range map[string]list{
		"iss":       {1, list{issuer}, object{"x": 1}, true},
		"sub":       {1, list{"alice"}, object{}, false},
		"jti":       {1, list{}},
		"client_id": {1, list{"app"}},
		"scope":     {1, object{"orders:read": true}, list{1}, list{"a", nil}, list{list{"a"}}, true},
		"scp":       {1, object{"orders:read": true}, list{1}, list{"a", nil}, list{list{"a"}}, true},
		"aud":       {1, object{audience: true}, list{1}, list{audience, nil}, list{list{audience}}, true},
		"exp":       {"1700000300", list{1700000300}, object{}, true, "never", ""},
		"nbf":       {"1699999999", list{}, object{}, false},
		"iat":       {"1699999999", list{}, object{}, true, "2023-11-14T22:13:20Z"},
	} {
		for _, v := range values {
			t.Run(name+" "+encode(t, v), func(t *testing.T) {
				_, err := prove(profile(t), mint(t, k1(), map[string]any{name: v}))
				wantReason(t, err, ClaimType)
			})
		}
	}
}

// Serializers of .NET, Java and Rust write null for what is not set.
func TestAMemberThatIsNullIsNotThere(t *testing.T) {
	p := profile(t)
	strict := *p
	strict.Strict = true
	for name, row := range map[string]struct {
		edits        map[string]any
		want, strict Reason
	}{
		"iss":       {map[string]any{"iss": nil}, IssuerUnknown, IssuerUnknown},
		"aud":       {map[string]any{"aud": nil}, WrongAudience, ClaimMissing},
		"exp":       {map[string]any{"exp": nil}, ClaimMissing, ClaimMissing},
		"sub":       {map[string]any{"sub": nil}, "", ClaimMissing}, // rauthy, of a client
		"client_id": {map[string]any{"client_id": nil}, "", ClaimMissing},
		"iat":       {map[string]any{"iat": nil}, "", ClaimMissing},
		"jti":       {map[string]any{"jti": nil}, "", ClaimMissing},
		"nbf":       {map[string]any{"nbf": nil}, "", ""},
		"scope":     {map[string]any{"scope": nil}, "", ""},
		"marks":     {map[string]any{"nonce": nil, "at_hash": nil, "c_hash": nil, "events": nil, "cnf": nil, "typ": nil}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			raw := mint(t, k1(), row.edits)
			_, err := prove(p, raw)
			wantReason(t, err, row.want)
			_, err = prove(&strict, raw)
			wantReason(t, err, row.strict)
		})
	}
	u, err := Parse(mint(t, k1(), map[string]any{"scope": nil, "scp": []string{"a"}, "x": map[string]any{"y": nil}}))
	if err != nil || u.Claims.Scope() != "a" {
		t.Error(u, err)
	}
	if inner, _ := u.Claims["x"].(map[string]any); len(inner) != 1 {
		t.Error("what the upstream gets of an object is not all that is in it")
	}
}

func TestANumberBeyondAllMeasureIsNoTime(t *testing.T) {
	for doc, want := range map[string]Reason{
		`{"exp":1e400}`:                     ClaimType,
		`{"exp":-1e400}`:                    ClaimType,
		`{"exp":1e999999999999}`:            ClaimType,
		`{"exp":1700000300,"nbf":1e309}`:    ClaimType,
		`{"exp":1700000300,"iat":1e309}`:    ClaimType,
		`{"exp":1e308}`:                     "",
		`{"exp":18446744073709551616}`:      "", // 2^64
		`{"exp":9223372036854775808}`:       "", // 2^63
		`{"exp":99999999999999999999999}`:   "",
		`{"exp":253402300800}`:              "", // the year 10000
		`{"exp":1700000300000}`:             "", // milliseconds: far off, but a time
		`{"exp":1.7000003e9}`:               "",
		`{"exp":-1e308}`:                    Expired,
		`{"exp":-9223372036854775809}`:      Expired,
		`{"exp":1e-400}`:                    Expired,
		`{"exp":0}`:                         Expired,
		`{"exp":-0}`:                        Expired,
		`{"exp":-1}`:                        Expired,
		`{"exp":1700000300,"nbf":1e308}`:    NotYetValid,
		`{"exp":1700000300,"nbf":-1e308}`:   "",
		`{"exp":1700000300,"iat":1e308}`:    "", // iat alone is no reason
		`{"exp":1700000300,"nbf":0.000001}`: "",
	} {
		doc = doc[:len(doc)-1] + `,"iss":"` + issuer + `","aud":"` + audience + `"}`
		_, err := prove(profile(t), mintRaw(t, k1(), "", doc))
		if ReasonOf(err) != want {
			t.Errorf("%s: %v, want %q", doc, err, want)
		}
	}
}

func TestAClaimInAnotherCaseIsAnotherClaim(t *testing.T) {
	p := profile(t)
	for name, row := range map[string]struct {
		doc  string
		want Reason
	}{
		"EXP is not exp":         {`{"iss":"` + issuer + `","aud":"` + audience + `","EXP":1700000300}`, ClaimMissing},
		"AUD is not aud":         {`{"iss":"` + issuer + `","AUD":"` + audience + `","exp":1700000300}`, WrongAudience},
		"ISS is not iss":         {`{"ISS":"` + issuer + `","aud":"` + audience + `","exp":1700000300}`, IssuerUnknown},
		"iſs is not iss":         {`{"iſs":"` + issuer + `","aud":"` + audience + `","exp":1700000300}`, IssuerUnknown},
		"Exp does not hide exp":  {`{"iss":"` + issuer + `","aud":"` + audience + `","exp":1,"Exp":1700000300}`, Expired},
		"NBF is not nbf":         {`{"iss":"` + issuer + `","aud":"` + audience + `","exp":1700000300,"NBF":1800000000}`, ""},
		"escapes do not hide it": {`{"iss":"` + issuer + `","aud":"` + audience + `","\u0065xp":1}`, Expired},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := prove(p, mintRaw(t, k1(), "", row.doc))
			wantReason(t, err, row.want)
		})
	}
}

func TestScopeIsWholeWordsOfScopeOrScpAlone(t *testing.T) {
	for name, row := range map[string]struct {
		claims Claims
		want   string
	}{
		"scope":                             {Claims{"scope": "a b"}, "a b"},
		"scp as a string":                   {Claims{"scp": "a b"}, "a b"},
		"scp as a list":                     {Claims{"scp": []any{"a", "b"}}, "a b"},
		"scope as a list":                   {Claims{"scope": []any{"a", "b"}}, "a b"},
		"scope as an empty list before scp": {Claims{"scope": []any{}, "scp": "b"}, ""},
		"a word of scope with a space":      {Claims{"scope": []any{"a b", "c"}}, "c"},
		"scope before scp":                  {Claims{"scope": "a", "scp": "b"}, "a"},
		"an empty scope before scp":         {Claims{"scope": "", "scp": "b"}, ""},
		"neither":                           {Claims{}, ""},
		"a word of scp with a space":        {Claims{"scp": []any{"a b", "c"}}, "c"},
		"an empty word of scp":              {Claims{"scp": []any{"", "c"}}, "c"},
		"scopes is not scope":               {Claims{"scopes": "a"}, ""},
		"permissions, roles are not scope":  {Claims{"permissions": []any{"a"}, "roles": []any{"b"}}, ""},
		"authorities are not scope":         {Claims{"authorities": []any{"SCOPE_a"}}, ""},
		"SCOPE is not scope":                {Claims{"SCOPE": "a"}, ""},
		"an empty list of scp is no scope":  {Claims{"scp": []any{}}, ""},
		"two spaces are kept as they stand": {Claims{"scope": "a  b"}, "a  b"},
	} {
		if got := row.claims.Scope(); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
	for _, row := range []struct {
		scope, word string
		want        bool
	}{
		{"orders:read orders:write", "orders:read", true},
		{"orders:read orders:write", "orders:write", true},
		{"a b c", "b", true},
		{"orders:read", "orders", false},
		{"orders:read", "orders:rea", false},
		{"orders:readonly", "orders:read", false},
		{"orders:read", "ORDERS:READ", false},
		{"Orders:read", "orders:read", false},
		{"a  b", "b", true},
		{"a\tb", "b", false},
		{"a\u00a0b", "b", false},
		{"a,b", "b", false},
		{"", "a", false},
		{"", "", false},
		{"a b", "a b", false},
	} {
		if got := HasScope(row.scope, row.word); got != row.want {
			t.Errorf("HasScope(%q, %q) is %t", row.scope, row.word, got)
		}
	}
}

func TestAClaimIsFoundByItsNameAndThenByItsPath(t *testing.T) {
	c := Claims{
		"sub":                     "alice",
		"https://a.example/roles": []any{"x"},
		"realm_access":            map[string]any{"roles": []any{"admin"}, "deep": map[string]any{"er": json.Number("1")}},
		"a.b":                     "whole",
		"a":                       map[string]any{"b": "nested"},
		"nothing":                 nil,
		"":                        "empty",
		"list":                    []any{map[string]any{"x": 1}},
	}
	for path, want := range map[string]any{
		"sub":                     "alice",
		"https://a.example/roles": []any{"x"},
		"realm_access.roles":      []any{"admin"},
		"realm_access.deep.er":    json.Number("1"),
		"a.b":                     "whole",
		"":                        "empty",
	} {
		if got, ok := c.Lookup(path); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %t", path, got, ok)
		}
	}
	for _, path := range []string{"SUB", "sub.x", "realm_access.Roles", "realm_access.roles.0", "list.0", "list.x", "realm_access..roles", ".sub", "nothing", "nothing.x", "none"} {
		if got, ok := c.Lookup(path); ok {
			t.Errorf("%q: found %v", path, got)
		}
	}
}

func TestFactsAreWhatTheTokenSays(t *testing.T) {
	key := k1()
	for name, row := range map[string]struct {
		edits map[string]any
		want  Facts
	}{
		"as RFC 9068 has them": {nil, Facts{Subject: "alice", Scope: "orders:read orders:write", Audience: []string{audience}, Expiry: noon.Unix() + 300}},
		"as Entra has them": {map[string]any{"client_id": absent{}, "azp": "app2", "scope": absent{}, "scp": "a b"},
			Facts{Subject: "alice", Scope: "a b", Audience: []string{audience}, Expiry: noon.Unix() + 300}},
		"as Okta has them": {map[string]any{"client_id": absent{}, "cid": "app3", "scope": absent{}, "scp": []string{"a", "b"}, "aud": []string{"x", audience}},
			Facts{Subject: "alice", Scope: "a b", Audience: []string{"x", audience}, Expiry: noon.Unix() + 300}},
		"with the least": {map[string]any{"client_id": absent{}, "sub": absent{}, "scope": absent{}, "jti": absent{}, "iat": absent{}, "nbf": noon.Unix()},
			Facts{Audience: []string{audience}, Expiry: noon.Unix() + 300, NotBefore: noon.Unix()}},
	} {
		t.Run(name, func(t *testing.T) {
			facts, err := prove(profile(t), mint(t, key, row.edits))
			if err != nil {
				t.Fatal(err)
			}
			if facts.Key == nil || facts.Key.ID != "k1" {
				t.Error("no key in the facts")
			}
			facts.Key, facts.Named = nil, Named{} // digests, of what it can be taken back by
			if !reflect.DeepEqual(*facts, row.want) {
				t.Errorf("got %+v, want %+v", *facts, row.want)
			}
		})
	}
}

func TestATokenOfTheFarFutureIsJudgedWithoutOverflow(t *testing.T) {
	facts, err := prove(profile(t), mint(t, k1(), map[string]any{"exp": 1e18}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := profile(t).Judge(facts, noon.Add(200*365*24*time.Hour)); err != nil {
		t.Error(err)
	}
}
