package token

import (
	"reflect"
	"strings"
	"testing"
)

// Names with dots of their own, as issuers write them.
var dotted = Claims{
	"kubernetes.io": map[string]any{"namespace": "shop", "serviceaccount": map[string]any{"name": "cart"}},
	"resource_access": map[string]any{
		"orders.api":              map[string]any{"roles": []any{"admin"}},
		"https://app.example.com": map[string]any{"roles": []any{"user"}},
	},
	"https://hasura.io/jwt/claims": map[string]any{"x-hasura-default-role": "editor"},
	"a.b":                          map[string]any{"c": "longest first"},
	"a":                            map[string]any{"b.c": "shorter", "b": map[string]any{"d": "behind a dead end", "null": nil}, "b.null": "past null"},
	"a~b/c":                        map[string]any{"~1": "escaped"},
	"/slash":                       "a name with a slash",
	"list":                         []any{"zero", map[string]any{"x": "in a list"}},
	"":                             "empty",
}

func TestAPathIsTriedWithEverySplitLongestNamesFirst(t *testing.T) {
	for path, row := range map[string]struct {
		want any
		met  string
	}{
		"kubernetes.io.namespace":                            {"shop", "/kubernetes.io/namespace"},
		"kubernetes.io.serviceaccount.name":                  {"cart", "/kubernetes.io/serviceaccount/name"},
		"resource_access.orders.api.roles":                   {[]any{"admin"}, "/resource_access/orders.api/roles"},
		"resource_access.https://app.example.com.roles":      {[]any{"user"}, "/resource_access/https:~1~1app.example.com/roles"},
		"https://hasura.io/jwt/claims.x-hasura-default-role": {"editor", "/https:~1~1hasura.io~1jwt~1claims/x-hasura-default-role"},
		"a.b.c":    {"longest first", "/a.b/c"},
		"a.b.d":    {"behind a dead end", "/a/b/d"},
		"a.b.null": {"past null", "/a/b.null"},
		"a~b/c.~1": {"escaped", "/a~0b~1c/~01"},
		"":         {"empty", "/"},
	} {
		if got, ok := dotted.Lookup(path); !ok || !reflect.DeepEqual(got, row.want) {
			t.Errorf("%q: %v, not %v", path, got, row.want)
		}
		if got := dotted.Met(path); got != row.met {
			t.Errorf("%q was met at %q, not at %q", path, got, row.met)
		}
		if got, _ := dotted.Lookup(row.met); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%q, where it was met, is %v", row.met, got)
		}
	}
	for _, path := range []string{"kubernetes.io.", ".kubernetes.io", "kubernetes.io..namespace", "a.b.e", "list.0", "a.b.c.d", "nothing"} {
		if got, ok := dotted.Lookup(path); ok || dotted.Met(path) != "" {
			t.Errorf("%q: found %v", path, got)
		}
	}
}

func TestAJSONPointerHasOneMeaning(t *testing.T) {
	for path, want := range map[string]any{
		"/a/b.c":       "shorter",
		"/a.b/c":       "longest first",
		"/a~0b~1c/~01": "escaped",
		"/~1slash":     "a name with a slash",
		"/list/0":      "zero",
		"/list/1/x":    "in a list",
		"/":            "empty",
	} {
		if got, ok := dotted.Lookup(path); !ok || got != want {
			t.Errorf("%q: %v, not %v", path, got, want)
		}
	}
	for _, path := range []string{"/slash", "/a.b.c", "/a/b/c", "/list/2", "/list/01", "/list/-", "/list/+1", "/list/x", "/a/", "//a", "/kubernetes.io/namespace/"} {
		if got, ok := dotted.Lookup(path); ok {
			t.Errorf("%q: found %v", path, got)
		}
	}
}

func TestAPointerWithAnOddTildeIsNoPath(t *testing.T) {
	for path, right := range map[string]bool{"~x": true, "a~": true, "/a~0~1": true, "/": true, "/a~": false, "/a~2": false, "/~a/b": false} {
		if err := CheckPath(path); (err == nil) != right {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestAnObjectGrantsTheKeysWhoseValueSaysYes(t *testing.T) {
	claims, err := parseClaims(`{"roles":{"admin":{"3124":"example"},"staff":true,"boss":["no"],"none":{},"never":false,"gone":null,"no":0,"text":"no","void":[]}}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	object, _ := claims["roles"].(map[string]any)
	if got := strings.Join(Granted(object), " "); got != "admin staff" {
		t.Error(got)
	}
}

func TestScopeIsWhatCountsWhereverTheTokenHasIt(t *testing.T) {
	beside := func(path string) any { return Claims{"scope": "admin", "groups": []any{"staff"}}[path] }
	for payload, want := range map[string]any{
		`{"scope":"read write"}`:     "read write",
		`{"scp":["read","write"]}`:   "read write",
		`{"scp":"read"}`:             "read",
		`{"scopes":["read"]}`:        nil,
		`{"scope":""}`:               nil,
		`{"scope":"read","scp":"x"}`: "read",
	} {
		claims, err := parseClaims(payload, nil)
		if err != nil {
			t.Fatal(payload, err)
		}
		p := (&Profile{}).Principal(nil, &Facts{Scope: claims.Scope()}, "", claims)
		p.Beside(beside)
		if got, _ := p.Claim("scope"); got != want {
			t.Errorf("%s: %v, not %v", payload, got, want)
		}
	}
}

// Microsoft Entra leaves out the groups of a user who is in many.
func TestAClaimThatIsElsewhereIsKnownUnlessItIsThereToo(t *testing.T) {
	for payload, want := range map[string]bool{
		`{"_claim_names":{"groups":"src1"},"_claim_sources":{}}`: true,
		`{"hasgroups":true}`:                                true,
		`{"hasgroups":false}`:                               false,
		`{"_claim_names":{"roles":"src1"}}`:                 false,
		`{"_claim_names":["groups"]}`:                       false,
		`{"_claim_names":{"groups":"src1"},"groups":["a"]}`: false,
		`{}`: false,
	} {
		claims, err := parseClaims(payload, nil)
		if err != nil {
			t.Fatal(payload, err)
		}
		for _, path := range []string{"groups", "/groups"} {
			p := (&Profile{}).Principal(nil, &Facts{}, "", claims)
			if got := p.Elsewhere(path); got != want {
				t.Errorf("%s: %s elsewhere %t", payload, path, got)
			}
			p.Beside(func(path string) any {
				claim, _ := Claims{"groups": []any{"staff"}}.Lookup(path)
				return claim
			})
			if p.Elsewhere(path) {
				t.Errorf("%s: %s elsewhere, and the ID token has it", payload, path)
			}
		}
	}
}

// Where a path was met is a pointer to the same claim, whatever the names are.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"kubernetes.io.namespace", "a.b.c", "/a/b.c", "/list/0", "", "/", "..", "~", "/~01", "a~b/c.~1"} {
		f.Add(`{"kubernetes.io":{"namespace":"shop"},"a":{"b.c":1,"b":{"c":null}},"list":[1],"":{"":2},"a~b/c":{"~1":3}}`, path)
	}
	f.Fuzz(func(t *testing.T, doc, path string) {
		members, err := ParseObject(doc)
		if err != nil || CheckPath(path) != nil {
			t.Skip()
		}
		claims := Claims(members)
		found, ok := claims.Lookup(path)
		met := claims.Met(path)
		if ok != (met != "") {
			t.Fatalf("%q: found %t, met at %q", path, ok, met)
		}
		if again, _ := claims.Lookup(met); ok && (CheckPath(met) != nil || !reflect.DeepEqual(again, found)) {
			t.Errorf("%q was met at %q, where %v is and not %v", path, met, again, found)
		}
	})
}
