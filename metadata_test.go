package caddyoauth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/resource"
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
			for path, want := range map[string]string{resource.WellKnown + "/a": a, resource.WellKnown + "/b/c": b, resource.WellKnown + "/c": ""} {
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
		want := `Bearer resource_metadata="https://api.example` + resource.WellKnown + "/" + name + `"`
		if got := send(http.MethodGet, "/"+name+"/x", "").Header()["Www-Authenticate"]; len(got) != 1 || got[0] != want {
			t.Errorf("/%s/x: %q, want %q", name, got, want)
		}
	}
}

func TestTheDocumentAllowsEveryOriginWhateverTheSiteAllowsElsewhere(t *testing.T) {
	send := siteOf(t, "header Access-Control-Allow-Origin https://app.example\n"+resourceBlock("", "https://api.example/a"))
	if got := send(http.MethodGet, resource.WellKnown+"/a", "").Header()["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != "*" {
		t.Errorf("the document is for %q", got)
	}
	if got := send(http.MethodGet, "/a", "").Header()["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != "https://app.example" {
		t.Errorf("the rest is for %q", got)
	}
}

// To a proxy that asks, 200 means that its request may pass.
func TestAQuestionAboutTheDocumentsPathIsJudgedAsAnyOther(t *testing.T) {
	g := judgeOf(t, knownIssuer, "resource https://api.example/a")
	at := resource.WellKnown + "/a"
	if got := g.verdict(g.ask(http.MethodGet, at)); got != "401 no_credential" {
		t.Errorf("asked about the path: %s", got)
	}
	if got := g.verdict(g.send(http.MethodGet, at, "", "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/orders")); got != "401 no_credential" {
		t.Errorf("asked at the path: %s", got)
	}
	if got := g.verdict(g.send(http.MethodGet, at, "", "X-Forwarded-Uri", "/orders")); !strings.HasSuffix(got, "forward_headers") {
		t.Errorf("half a question: %s", got)
	}
	if res := g.send(http.MethodGet, at, ""); res.Code != http.StatusOK || !strings.Contains(res.Body.String(), `"https://api.example/a"`) {
		t.Errorf("not asked: %d %s", res.Code, res.Body)
	}
}

func TestATokenInTheQueryOfTheDocumentIsNotLogged(t *testing.T) {
	g := judgeOf(t, knownIssuer, "credentials query access_token\nresource https://api.example/a")
	for target, want := range map[string]bool{resource.WellKnown + "/a?access_token=abc": true, resource.WellKnown + "/a": false} {
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
