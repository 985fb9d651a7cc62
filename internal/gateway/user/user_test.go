package user

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

const api = "https://api.example.com"

// pages answers addresses with bodies, and what comes behind them.
type pages map[string]struct{ body, next string }

func (p pages) get(_ context.Context, address string) (body, next string, err error) {
	page, has := p[strings.TrimPrefix(address, api)]
	if !has {
		return "", "", errors.New("asked for " + address)
	}
	return page.body, page.next, nil
}

// someone is asked about as at GitHub.
func someone() *User {
	return &User{
		URL: api + "/user", Take: []string{"id>sub", "login>preferred_username", "name"},
		First: []*Question{{URL: api + "/emails", Where: []string{"primary", "verified"}, Take: []string{"email", "verified>email_verified"}}},
		Each:  []*Question{{URL: api + "/teams", Needs: []string{"read:org", "user"}, Take: []string{"organization.login/slug>groups"}}},
	}
}

func known() pages {
	return pages{
		"/user":         {body: `{"id":583231,"login":"octocat","name":null}`},
		"/emails":       {body: `[{"email":"a@x","primary":true,"verified":false},{"email":"b@x","primary":false,"verified":true},{"email":"c@x","primary":true,"verified":true},{"email":"d@x","primary":true,"verified":true}]`},
		"/teams":        {body: `[{"slug":"core","organization":{"login":"acme"}},{"slug":"a/b","organization":{"login":"acme"}},7,{}]`, next: api + "/teams?page=2"},
		"/teams?page=2": {body: `[{"slug":"ops","organization":{"login":"acme"}}]`},
	}
}

func TestAUserIsWhoTheAnswersSay(t *testing.T) {
	claims, _, err := someone().Ask(t.Context(), known().get, "read:org")
	want := token.Claims{
		"sub": "583231", "preferred_username": "octocat", "email": "c@x", "email_verified": true, "groups": []any{"acme/core", "acme/ops"},
	}
	if err != nil || !reflect.DeepEqual(claims, want) {
		t.Errorf("%v %v, want %v", claims, err, want)
	}
	// What the log-in may not see is not asked for, and not guessed.
	claims, _, err = someone().Ask(t.Context(), known().get, "read:user")
	if _, has := claims["groups"]; err != nil || has {
		t.Errorf("without the scope: %v %v", claims, err)
	}
	none := known()
	none["/teams"], none["/emails"] = struct{ body, next string }{body: `[]`}, struct{ body, next string }{body: ` [] `}
	claims, _, err = someone().Ask(t.Context(), none.get, "user")
	if _, has := claims["email"]; err != nil || has || !reflect.DeepEqual(claims["groups"], []any{}) {
		t.Errorf("who is in no team, with no verified address: %v %v", claims, err)
	}
}

func TestPagesAsBitbucketHasThem(t *testing.T) {
	u := &User{URL: api + "/user", Take: []string{"account_id>sub"}, Each: []*Question{{URL: api + "/spaces", In: "values", Take: []string{"slug>groups"}}}}
	claims, _, err := u.Ask(t.Context(), pages{
		"/user":     {body: `{"account_id":"557058:1"}`},
		"/spaces":   {body: `{"values":[{"slug":"one"}],"next":"https://api.example.com/spaces?2"}`},
		"/spaces?2": {body: `{"values":[{"slug":"two"}]}`},
	}.get, "")
	if err != nil || !reflect.DeepEqual(claims["groups"], []any{"one", "two"}) {
		t.Errorf("%v %v", claims, err)
	}
}

func TestAnAnswerThatDoesNotSayWhoItIsIsNone(t *testing.T) {
	many := `[` + strings.Repeat(`{"slug":"team","organization":{"login":"acme"}},`, 600) + `{}]`
	for what, change := range map[string]func(p pages){
		"no user":                func(p pages) { p["/user"] = struct{ body, next string }{body: `{"login":"octocat"}`} },
		"an empty one":           func(p pages) { p["/user"] = struct{ body, next string }{body: `{"id":""}`} },
		"a truth":                func(p pages) { p["/user"] = struct{ body, next string }{body: `{"id":true}`} },
		"a list":                 func(p pages) { p["/user"] = struct{ body, next string }{body: `[{"id":1}]`} },
		"two of a name":          func(p pages) { p["/user"] = struct{ body, next string }{body: `{"id":1,"id":2}`} },
		"e-mails that are none":  func(p pages) { p["/emails"] = struct{ body, next string }{body: `{"message":"no"}`} },
		"e-mails and more":       func(p pages) { p["/emails"] = struct{ body, next string }{body: `[],"list":[]`} },
		"a page at another host": func(p pages) { p["/teams"] = struct{ body, next string }{`[]`, "https://evil.example/"} },
		"pages without an end":   func(p pages) { p["/teams"] = struct{ body, next string }{`[]`, api + "/teams"} },
		"too many":               func(p pages) { p["/teams"] = struct{ body, next string }{many, api + "/teams"} },
		"too long": func(p pages) {
			p["/user"] = struct{ body, next string }{body: fmt.Sprintf(`{"id":1,"name":%q}`, strings.Repeat("x", 70<<10))}
		},
	} {
		p := known()
		change(p)
		claims, _, err := someone().Ask(t.Context(), p.get, "user")
		if _, unfit := errors.AsType[*Unusable](err); !unfit || claims != nil {
			t.Errorf("%s: %v %v", what, claims, err)
		}
	}
	failed := known()
	delete(failed, "/emails")
	if _, _, err := someone().Ask(t.Context(), failed.get, "user"); err == nil || !strings.Contains(err.Error(), "asked for") {
		t.Errorf("a call that failed: %v", err)
	}
}

// Two pairs of names must not become one text.
func TestJoinedMembersAreNotConfused(t *testing.T) {
	one, err := parseTake("org/team>groups")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]any{
		`{"org":"a","team":"b"}`: "a/b", `{"org":"a/b","team":"c"}`: nil, `{"org":"a","team":"b/c"}`: nil, `{"org":"a"}`: nil, `{"org":"a","team":7}`: nil,
	} {
		object, _ := token.ParseObject(text)
		if got := one.of(object); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestWhatIsWrongWithAUserBlockIsSaid(t *testing.T) {
	for want, change := range map[string]func(u *User){
		"nothing says who it is":          func(u *User) { u.Take = []string{"login"} },
		"user: no url":                    func(u *User) { u.URL = "" },
		"nothing is taken":                func(u *User) { u.Each[0].Take = nil },
		"scope is nothing":                func(u *User) { u.Take = append(u.Take, "x>scope") },
		"no member":                       func(u *User) { u.Take = append(u.Take, ">name") },
		"is no name of a claim":           func(u *User) { u.Take = append(u.Take, "name>") },
		"sub comes from the first answer": func(u *User) { u.First[0].Take = []string{"id>sub"} },
		"user: first: no url":             func(u *User) { u.First[0] = nil },
		"http://api.example.com":          func(u *User) { u.Each[0].URL = "http://api.example.com/teams" },
	} {
		u := someone()
		change(u)
		if err := u.Check(false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := someone().Check(false); err != nil {
		t.Error(err)
	}
}

func TestAnEMailAddressThatWasNotVerifiedIsNone(t *testing.T) {
	u := &User{URL: api + "/user", Take: []string{"id>sub", "email", "verified>email_verified"}}
	for body, want := range map[string]any{
		`{"id":"1","email":"a@x","verified":true}`:   "a@x",
		`{"id":"1","email":"a@x","verified":false}`:  nil,
		`{"id":"1","email":"a@x"}`:                   nil,
		`{"id":"1","email":"a@x","verified":"true"}`: nil,
	} {
		claims, _, err := u.Ask(t.Context(), pages{"/user": {body: body}}.get, "")
		if err != nil || claims["email"] != want {
			t.Errorf("%s: %v %v", body, claims, err)
		}
	}
}
