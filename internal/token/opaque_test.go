package token

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestOpaqueIsWhateverIsNoJWT(t *testing.T) {
	for raw, opaque := range map[string]bool{
		"8f3a71":                           true,
		"ya29.a0Af":                        true,
		"a.b.c":                            true,
		"eyJhbGciOiJkaXIifQ..aa.bb.cc":     true, // a JWE
		"a.b.c.d":                          true,
		"..":                               true,
		"":                                 true,
		"W10.e30.AA":                       true, // the first part is a list
		"eyJhbGciOiJFUzI1NiJ9.e30.AA":      false,
		"eyJhbGciOiJFUzI1NiJ9.e30.":        false, // unsigned
		"eyJhbGciOiJFUzI1NiJ9.!.AA":        false, // broken behind its header
		"eyJhbGciOiJFUzI1NiJ.e30.AA":       false, // broken within it
		"IHsiYWxnIjoiRVMyNTYifQ.e30.AA":    false, // white space before the brace
		"ewogICJhbGciOiAiRVMyNTYiCn0.e.AA": false,
	} {
		if IsOpaque(raw) != opaque {
			t.Errorf("%s: opaque %t", raw, !opaque)
		}
	}
}

func TestAnAnswerConfirmsAJWTAndCanOnlyTakeAway(t *testing.T) {
	p := &Profile{Issuer: "https://issuer.example"}
	verified := &Facts{Subject: "alice", Scope: "read write", Audience: []string{"api", "billing"}, Expiry: 1000, NotBefore: 10, Key: &Key{}}
	for doc, want := range map[string]Facts{
		`{"active":true}`: {Scope: "read write", Audience: []string{"api", "billing"}, Expiry: 1000, NotBefore: 10},
		`{"active":true,"exp":500.5,"nbf":20,"scope":"write admin","aud":"billing","sub":"mallory"}`: {Scope: "write", Audience: []string{"billing"}, Expiry: 500, NotBefore: 20},
		`{"active":true,"exp":9000,"nbf":1,"scope":"read write admin","aud":["other"]}`:              {Scope: "read write", Expiry: 1000, NotBefore: 10},
		`{"active":true,"scope":""}`:     {Audience: []string{"api", "billing"}, Expiry: 1000, NotBefore: 10},
		`{"active":true,"scp":["read"]}`: {Scope: "read", Audience: []string{"api", "billing"}, Expiry: 1000, NotBefore: 10},
	} {
		answer, err := ParseAnswer(doc)
		if err != nil {
			t.Fatal(doc, err)
		}
		got, err := p.Confirm(verified, answer)
		if err != nil || got.Subject != "alice" || got.Key != verified.Key || got.Scope != want.Scope || got.Expiry != want.Expiry ||
			got.NotBefore != want.NotBefore || strings.Join(got.Audience, " ") != strings.Join(want.Audience, " ") {
			t.Errorf("%s: %+v, %v", doc, got, err)
		}
	}
	if strings.Join(verified.Audience, " ") != "api billing" || verified.Scope != "read write" {
		t.Error("the facts that were verified have changed")
	}
}

// An answer is bytes from outside. Whatever it is, nothing but the JSON
// true makes a token active, and nothing that another reader would see
// differently passes.
func FuzzAnswer(f *testing.F) {
	for _, doc := range []string{
		`{"active":true}`, `{"active":false}`, `{"active":"true"}`, `{"active":1}`, `{"active":null}`, `{}`, `[]`, ``,
		`{"active":false,"active":true}`, `{"Active":true}`, `{"act\u0069ve":true}`, `{"active":true}x`, "\xef\xbb\xbf{\"active\":true}",
		`{"active":true,"iss":"https://issuer.example","aud":["api"],"exp":1900000000,"nbf":0,"scope":"a b","token_type":"Bearer"}`,
		`{"active":true,"exp":1e400}`, `{"active":true,"exp":-1}`, `{"active":true,"aud":null}`, `{"active":true,"scp":[1]}`,
		`{"active":true,"exp":"1900000000","nbf":"2023-11-14T22:13:20Z","sub":42,"scope":["a",null],"aud":["api",7]}`, `{"active":true,"exp":"1.2.3"}`,
		`{"active":true,"token_type":["Bearer"]}`, `{"active":true,"iss":"https://issuer.example/"}`,
	} {
		f.Add(doc)
	}
	p := &Profile{Issuer: "https://issuer.example", Audience: []string{"api"}}
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, doc string) {
		answer, err := ParseAnswer(doc)
		if err != nil {
			if ReasonOf(err) != "" {
				t.Fatalf("%q: a failure of the issuer became a verdict: %v", doc, err)
			}
			return
		}
		var members map[string]any
		reader := json.NewDecoder(strings.NewReader(doc))
		reader.UseNumber()
		if err := reader.Decode(&members); err != nil {
			t.Fatalf("accepted %q, which is no JSON: %v", doc, err)
		}
		if members["active"] != answer.Active {
			t.Fatalf("%q: active %t", doc, answer.Active)
		}
		facts, err := p.Read(answer)
		if err != nil {
			if _, refused := errors.AsType[*Refusal](err); !refused {
				t.Fatalf("%q: %v is no verdict", doc, err)
			}
			return
		}
		if iss, has := members["iss"]; !answer.Active || has && iss != p.Issuer {
			t.Fatalf("%q became %+v", doc, facts)
		}
		if ok, err := p.Judge(facts, now); ok && err == nil {
			list, _ := members["aud"].([]any)
			if aud := append(list, members["aud"]); !contains(aud, "api") {
				t.Fatalf("%q passes without its audience", doc)
			}
		}
		if !reflect.DeepEqual(AnswerClaims(doc), answer.Claims) {
			t.Fatalf("%q has other claims the second time", doc)
		}
	})
}

func contains(list []any, want any) bool {
	for _, one := range list {
		if text, ok := one.(string); ok && text == want {
			return true
		}
	}
	return false
}
