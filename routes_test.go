package caddyoauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// With nil for absent groups Caddy's CEL fails with "no such overload", and
// the client gets a 500 for a token that is merely without groups (rule 29).
func TestAnExpressionBehindTheGatewaySeesGroupsAlsoWhenThereAreNone(t *testing.T) {
	send := routes(t, "http://api.example {\n"+defaultConfig+`
		@admin expression `+"`\"admin\" in {http.auth.user.groups}`"+`
		@senior expression `+"`{http.auth.user.level} >= 3 && {http.auth.user.id} == \"alice\"`"+`
		header @senior X-Senior yes
		respond @admin "an admin"
		respond "somebody"
	}`)
	for _, row := range []struct{ claims, want string }{
		{`"groups":["staff","admin"]`, "an admin"},
		{`"groups":["staff"]`, "somebody"},
		{`"groups":[]`, "somebody"},
		{`"groups":null`, "somebody"},
		{`"level":1`, "somebody"},
		{`"groups":"admin"`, "an admin"},
		{`"groups":["a",1,{"b":null},null]`, "somebody"},
		{`"groups":{"admin":true}`, "an admin"},
		{`"groups":{"admin":false,"staff":{"1":"x"}}`, "somebody"},
		{`"groups":7`, "somebody"},
	} {
		payload := fmt.Sprintf(`{"iss":"https://issuer.example","aud":"api","sub":"alice","exp":%d,%s}`, time.Now().Add(time.Hour).Unix(), row.claims)
		res := send(http.MethodGet, "/", "Authorization", "Bearer "+signToken(t, "es256", defaultHeader, payload))
		if got := res.Body.String(); got != row.want {
			t.Errorf("%s: %d %q, want %q", row.claims, res.Code, got, row.want)
		}
	}
}

func TestTheRecipeForSinglePageAppsAnswersPreflightsAndNothingElseWithoutAToken(t *testing.T) {
	text, err := os.ReadFile("caddyfile/spa.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	send := routes(t, string(text))
	const app = "https://app.example.com"
	for _, row := range []struct {
		name, method string
		headers      []string
		status       int
		readable     bool // by the app
	}{
		{"a preflight", http.MethodOptions, []string{"Origin", app, "Access-Control-Request-Method", "POST"}, 204, true},
		{"a preflight of another origin", http.MethodOptions, []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "POST"}, 401, false},
		{"OPTIONS that is no preflight", http.MethodOptions, []string{"Origin", app}, 401, true},
		{"a request without a token", http.MethodGet, []string{"Origin", app}, 401, true},
		{"a request of no browser", http.MethodGet, nil, 401, false},
	} {
		res := send(row.method, "/orders", row.headers...)
		if res.Code != row.status {
			t.Errorf("%s: status %d, want %d", row.name, res.Code, row.status)
		}
		if row.status == 401 && res.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: no challenge", row.name)
		}
		readable := res.Header().Get("Access-Control-Allow-Origin") == app && res.Header().Get("Access-Control-Expose-Headers") == "WWW-Authenticate"
		if readable != row.readable {
			t.Errorf("%s: readable by the app: %v, headers %v", row.name, readable, res.Header())
		}
	}
}

// routes adapts a Caddyfile of one site and returns a way to send requests
// through all of its handlers.
func routes(t *testing.T, caddyfile string) func(method, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	server, _ := adaptServer(t, caddyfile)
	if err := server.Routes.Provision(testContext(t)); err != nil {
		t.Fatal(err)
	}
	end := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	return func(method, target string, headers ...string) *httptest.ResponseRecorder {
		t.Helper()
		raw := httptest.NewRequest(method, target, nil)
		raw.Host = "api.example"
		if strings.Contains(caddyfile, "api.example.com {") {
			raw.Host = "api.example.com"
		}
		for i := 0; i < len(headers); i += 2 {
			raw.Header.Set(headers[i], headers[i+1])
		}
		res := httptest.NewRecorder()
		r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), res, server)
		if err := server.Routes.Compile(end).ServeHTTP(res, r); err != nil {
			t.Errorf("%s %s: %v", method, target, err)
		}
		return res
	}
}
