package caddyoauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/gateway/explain"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

func newES256(t *testing.T) *jwssign.Key {
	t.Helper()
	key, err := jwssign.Generate("k1", "ES256")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestTheAdminEndpointExplainsWithTheRunningConfig(t *testing.T) {
	issuer := newTestIssuer(t, newES256(t))
	ask := func(method, target, body string) (int, string) {
		t.Helper()
		return adminOf(t, "admin.api.oauth_explain", method, target, body)
	}
	port, storage := freePort(t), storageDir(t) // which outlives Caddy
	site := func(host, more string) string {
		return fmt.Sprintf("http://%s:%d {\nbind 127.0.0.1\noauth {\nissuer %s {\naudience api\n}\n%s\n}\nrespond ok\n}\n", host, port, issuer.URL, more)
	}
	t.Cleanup(func() { _ = caddy.Stop() })
	load(t, fmt.Sprintf("{\nadmin off\npersist_config off\nauto_https off\ngrace_period 1s\nstorage file_system %s\nlog {\noutput discard\n}\n}\n", storage)+site("a.example", "")+site("b.example", "require scope admin\ntoken_endpoint /oauth/token {\nrevocation_endpoint /oauth/revoke\n}\nsession {\nstore memory\n}"))
	token := issuer.token(t)
	running := runningHandlers(t)
	if len(running) < 2 {
		t.Fatal(len(running))
	}
	if _, err := running[0].validator.First().Profile.Keys.Keys(t.Context()); err != nil { // waits for the first fetch
		t.Fatal(err)
	}
	fetched := issuer.fetches.Load()
	explain := func(target, body string) map[string]*explain.Explanation {
		t.Helper()
		status, text := ask(http.MethodPost, target, body)
		var answer struct{ Gateways []*explain.Explanation }
		if err := json.Unmarshal([]byte(text), &answer); err != nil || status != 200 {
			t.Fatal(status, text, err)
		}
		found := map[string]*explain.Explanation{}
		for _, e := range answer.Gateways {
			if found[e.Gateway] != nil {
				t.Errorf("%s twice", e.Gateway)
			}
			found[e.Gateway] = e
			checkExplained(t, e, body)
		}
		return found
	}
	for _, body := range []string{token, token + "\n", `{"token":"` + token + `"}`} {
		found := explain("/oauth/explain", body)
		if a, b := found["a.example"], found["b.example"]; len(found) != 2 || a == nil || a.Verdict != "accepted" || b == nil || b.Reason != "missing_scope" || b.Status != 403 {
			t.Errorf("%+v", found)
		}
	}
	if found := explain("/oauth/explain?host=b.example", "oga_"+strings.Repeat("a", 64)); len(found) != 1 || found["b.example"].Verdict != "unknown" {
		t.Errorf("%+v", found)
	}
	unknown, err := newES256(t).Token("at+jwt", map[string]any{"iss": issuer.URL, "aud": "api", "exp": 9e9})
	if err != nil {
		t.Fatal(err)
	}
	if e := explain("/oauth/explain?host=a.example", unknown)["a.example"]; e.Verdict != "refused" || e.Reason == "" {
		t.Errorf("%+v", e)
	}
	if n := issuer.fetches.Load(); n != fetched {
		t.Errorf("explaining fetched keys: %d", n-fetched)
	}
	for body, want := range map[string]int{"": 400, " ": 400, strings.Repeat("a", 64<<10+1): 413} {
		if status, text := ask(http.MethodPost, "/oauth/explain", body); status != want || strings.Contains(text, "aaaa") {
			t.Error(status, text)
		}
	}
	if status, _ := ask(http.MethodGet, "/oauth/explain", ""); status != 405 {
		t.Error(status)
	}
}

// runningHandlers are the gateways of the config in force.
func runningHandlers(t *testing.T) (found []*Gateway) {
	t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(routes caddyhttp.RouteList)
	walk = func(routes caddyhttp.RouteList) {
		for _, route := range routes {
			for _, handler := range route.Handlers {
				switch handler := handler.(type) {
				case *caddyhttp.Subroute:
					walk(handler.Routes)
				case *Gateway:
					found = append(found, handler)
				}
			}
		}
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		walk(server.Routes)
	}
	return found
}
