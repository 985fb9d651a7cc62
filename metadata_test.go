package caddyoauth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

const knownIssuer = "issuer https://issuer.example {\n\tjwks testdata/keys/issuer.jwks.json\n}\n"

func resourceBlock(matcher, resource string) string {
	return "oauth " + matcher + " {\n" + knownIssuer + "resource " + resource + "\n}\n"
}

// documentOf is the resource that the document at a path tells of, or "".
func documentOf(t *testing.T, send func(method, target, form string, headers ...string) *httptest.ResponseRecorder, path string) string {
	t.Helper()
	res := send(http.MethodGet, path, "")
	var doc struct{ Resource string }
	if res.Code == http.StatusOK && json.Unmarshal(res.Body.Bytes(), &doc) == nil {
		return doc.Resource
	}
	return ""
}

// The directive's matcher says what is protected, not where clients look.
func TestEachGatewayOfASiteServesItsOwnDocumentWhateverItsMatcher(t *testing.T) {
	const a, b = "https://api.example/a", "https://api.example/b/c"
	for name, body := range map[string]string{
		"two matchers":         resourceBlock("/a/*", a) + resourceBlock("/b/*", b),
		"in the other order":   resourceBlock("/b/*", b) + resourceBlock("/a/*", a),
		"one for all the rest": resourceBlock("", a) + resourceBlock("/b/*", b),
		"named matchers":       "@a path /a/*\n@b path /b/*\n" + resourceBlock("@a", a) + resourceBlock("@b", b),
		"a route":              "route {\n" + resourceBlock("/a/*", a) + resourceBlock("/b/*", b) + "}\n",
		"handles that lead there": "@a path /a/* /.well-known/oauth-protected-resource/a\nhandle @a {\n" + resourceBlock("", a) + "}\n" +
			"@b path /b/* /.well-known/oauth-protected-resource/b/c\nhandle @b {\n" + resourceBlock("", b) + "}\n",
	} {
		t.Run(name, func(t *testing.T) {
			send := siteOf(t, body)
			for path, want := range map[string]string{wellKnownResource + "/a": a, wellKnownResource + "/b/c": b, wellKnownResource + "/c": ""} {
				if got := documentOf(t, send, path); got != want {
					t.Errorf("%s: the document of %q, want %q", path, got, want)
				}
			}
		})
	}
}

func TestEachGatewayOfASiteChallengesWithItsOwnDocument(t *testing.T) {
	send := siteOf(t, resourceBlock("/a/*", "https://api.example/a")+resourceBlock("/b/*", "https://api.example/b"))
	for _, name := range []string{"a", "b"} {
		want := `Bearer resource_metadata="https://api.example` + wellKnownResource + "/" + name + `"`
		if got := send(http.MethodGet, "/"+name+"/x", "").Header()["Www-Authenticate"]; len(got) != 1 || got[0] != want {
			t.Errorf("/%s/x: %q, want %q", name, got, want)
		}
	}
}

func TestTheDocumentAllowsEveryOriginWhateverTheSiteAllowsElsewhere(t *testing.T) {
	send := siteOf(t, "header Access-Control-Allow-Origin https://app.example\n"+resourceBlock("", "https://api.example/a"))
	if got := send(http.MethodGet, wellKnownResource+"/a", "").Header()["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != "*" {
		t.Errorf("the document is for %q", got)
	}
	if got := send(http.MethodGet, "/a", "").Header()["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != "https://app.example" {
		t.Errorf("the rest is for %q", got)
	}
}

// To a proxy that asks, 200 means that its request may pass.
func TestAQuestionAboutTheDocumentsPathIsJudgedAsAnyOther(t *testing.T) {
	g := judgeOf(t, knownIssuer, "resource https://api.example/a")
	at := wellKnownResource + "/a"
	if got := g.verdict(g.ask(http.MethodGet, at)); got != "401 no_credential" {
		t.Errorf("asked about the path: %s", got)
	}
	if got := g.verdict(g.send(http.MethodGet, at, "", "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/orders")); got != "401 no_credential" {
		t.Errorf("asked at the path: %s", got)
	}
	if got := g.verdict(g.send(http.MethodGet, at, "", "X-Forwarded-Uri", "/orders")); !strings.HasSuffix(got, forwardHeaders) {
		t.Errorf("half a question: %s", got)
	}
	if res := g.send(http.MethodGet, at, ""); res.Code != http.StatusOK || !strings.Contains(res.Body.String(), `"https://api.example/a"`) {
		t.Errorf("not asked: %d %s", res.Code, res.Body)
	}
}

func TestATokenInTheQueryOfTheDocumentIsNotLogged(t *testing.T) {
	g := judgeOf(t, knownIssuer, "credentials query access_token\nresource https://api.example/a")
	for target, want := range map[string]bool{wellKnownResource + "/a?access_token=abc": true, wellKnownResource + "/a": false} {
		res := httptest.NewRecorder()
		r := caddyhttp.PrepareRequest(httptest.NewRequest(http.MethodGet, target, nil), caddy.NewReplacer(), res, g.server)
		if err := g.ServeHTTP(res, r, nil); err != nil || res.Code != http.StatusOK {
			t.Error(target, res.Code, err)
		}
		if skip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.LogSkipVar).(bool); skip != want {
			t.Errorf("%s: the access log skips it: %v, want %v", target, skip, want)
		}
	}
}

// Whatever is taken for a resource, a client that follows RFC 9728 §3.1 and
// writes URLs as URL libraries do finds the document, and the same text in it.
func FuzzResource(f *testing.F) {
	for _, s := range []string{
		"https://api.example", "https://api.example/", "https://api.example/mcp", "https://api.example/mcp/", "http://127.0.0.1:8080/a/b",
		"https://[::1]/x", "https://api.example/a//b", "https://api.example/%61", "https://api.example/..", "https://api.example:443", "https://a/;x=y",
		"HTTPS://api.example", "https://api.example/\"", "https://api.example/*", "https:api.example", "https://api.example?", "https://ä.example/ö",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, resource string) {
		if checkResource(resource, false) != nil {
			return
		}
		u, err := url.Parse(resource)
		if err != nil || u.String() != resource || u.Host != strings.ToLower(u.Host) {
			t.Fatalf("%q is written as %q, %v", resource, u, err)
		}
		g := &Gateway{Config: Config{Resource: resource}, validator: newValidator(nil)}
		if g.metadata = g.describe(); !json.Valid(g.metadata.body) {
			t.Fatalf("%q: %s is no JSON", resource, g.metadata.body)
		}
		var doc struct{ Resource string }
		if err := json.Unmarshal(g.metadata.body, &doc); err != nil || doc.Resource != resource {
			t.Errorf("%q: the document is about %q, %v", resource, doc.Resource, err)
		}
		found, err := url.Parse(u.Scheme + "://" + u.Host + wellKnownResource + strings.TrimSuffix(u.Path, "/"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSuffix(g.metadata.url, "/") != found.String() {
			t.Errorf("%q: the document is at %s, a client looks at %s", resource, g.metadata.url, found)
		}
		said := (&verdict.Rejection{}).Challenge("", g.metadata.url)
		if said != `Bearer resource_metadata="`+g.metadata.url+`"` {
			t.Errorf("%q: the challenge is %s", resource, said)
		}
		target, err := url.ParseRequestURI(g.metadata.url)
		if err != nil || g.ownPath(&http.Request{URL: target}) == nil {
			t.Errorf("%q: nothing answers at %s, %v", resource, g.metadata.url, err)
		}
	})
}
