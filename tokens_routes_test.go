package caddyoauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/credential"
)

// siteOf runs the body of a site block and answers a way to send requests
// through all of its handlers. What the gateway lets pass is the upstream's.
func siteOf(t *testing.T, body string) func(method, target, form string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	server, _ := adaptSite(t, body+"\nrespond upstream")
	if err := server.Routes.Provision(testContext(t)); err != nil {
		t.Fatal(err)
	}
	address := nextAddress()
	return func(method, target, form string, headers ...string) *httptest.ResponseRecorder {
		t.Helper()
		raw := httptest.NewRequest(method, target, strings.NewReader(form))
		raw.Host, raw.RemoteAddr = "api.example", address+":1"
		raw.Header.Set("Content-Type", formType)
		for n := 0; n < len(headers); n += 2 {
			raw.Header.Set(headers[n], headers[n+1])
		}
		res := httptest.NewRecorder()
		r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), res, server)
		if err := server.Routes.Compile(nothing).ServeHTTP(res, r); err != nil {
			t.Errorf("%s %s: %v", method, target, err)
		}
		return res
	}
}

func oauthBlock(matcher string, issuer *grantor) string {
	return fmt.Sprintf(`oauth %s {
		issuer %s {
			audience api
		}
		session {
			store memory
		}
		token_endpoint /auth {
			revocation_endpoint /revoke
		}
	}`, matcher, issuer.URL)
}

// The directive's matcher says what is protected, not where clients get tokens.
func TestTheTokenEndpointAnswersWhateverTheMatcherAndIsNeverForwarded(t *testing.T) {
	issuer := newGrantor(t, nil)
	for name, row := range map[string]struct{ body, unprotected string }{
		"a matcher":                {oauthBlock("/api/*", issuer), "/other"},
		"a named matcher":          {"@api path /api/*\n" + oauthBlock("@api", issuer), "/other"},
		"a matcher of the method":  {"@read {\nmethod GET\npath /api/*\n}\n" + oauthBlock("@read", issuer), "/other"},
		"no matcher":               {oauthBlock("", issuer), ""},
		"a route block":            {"route {\n" + oauthBlock("/api/*", issuer) + "\n}", "/other"},
		"a handle block":           {"handle {\n" + oauthBlock("/api/*", issuer) + "\n}", "/other"},
		"a handle block with path": {"handle /auth* {\n" + oauthBlock("/nothing", issuer) + "\n}\nhandle /revoke {\n" + oauthBlock("", issuer) + "\n}\nhandle /api/* {\n" + oauthBlock("", issuer) + "\n}", "/other"},
		"with a respond before":    {"respond /hello hi\n" + oauthBlock("/api/*", issuer), "/other"},
	} {
		t.Run(name, func(t *testing.T) {
			send := siteOf(t, row.body)
			for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} {
				for _, path := range []string{"/auth", "/revoke"} {
					if res := send(method, path, ""); res.Code != http.StatusMethodNotAllowed || strings.Contains(res.Body.String(), "upstream") {
						t.Errorf("%s %s: %d %s", method, path, res.Code, res.Body)
					}
				}
			}
			for _, path := range []string{"/auth?a=1", "/auth?"} {
				if res := send("POST", path, ""); res.Body.String() == "upstream" || res.Code/100 != 4 {
					t.Errorf("POST %s: %d %s", path, res.Code, res.Body)
				}
			}
			res := send("POST", "/auth", "grant_type=client_credentials", basic("orders", "s")...)
			var tok tokenAnswer
			if err := json.Unmarshal(res.Body.Bytes(), &tok); err != nil || res.Code != 200 {
				t.Fatal(res.Code, res.Body)
			}
			if res := send("GET", "/api/1", ""); res.Code != 401 {
				t.Errorf("without a token: %d", res.Code)
			}
			if res := send("GET", "/api/1", "", "Authorization", "Bearer "+tok.AccessToken); res.Code != 200 || res.Body.String() != "upstream" {
				t.Errorf("with the token: %d %s", res.Code, res.Body)
			}
			if row.unprotected != "" {
				if res := send("GET", row.unprotected, ""); res.Body.String() != "upstream" {
					t.Errorf("%s: %d %s", row.unprotected, res.Code, res.Body)
				}
			}
			for _, path := range []string{"/auth/", "/auth/x", "//auth", "/%61uth%2f"} {
				res := send("POST", path, "grant_type=client_credentials", basic("orders", "s")...)
				if strings.Contains(res.Body.String(), credential.AccessPrefix) {
					t.Errorf("%s is a token endpoint too", path)
				}
			}
		})
	}
}

func TestWithoutAMatcherThereIsOneHandlerAndWithOneThereAreTwoAlike(t *testing.T) {
	issuer := newGrantor(t, nil)
	if _, one := adaptSite(t, oauthBlock("", issuer)); len(one) != 1 {
		t.Errorf("without a matcher: %d handlers", len(one))
	}
	_, two := adaptSite(t, oauthBlock("/api/*", issuer))
	if len(two) != 2 || string(two[0]) != string(two[1]) {
		t.Errorf("with a matcher: %s", two)
	}
	if _, plain := adaptSite(t, "oauth /api/* "+issuer.URL+" api"); len(plain) != 1 {
		t.Errorf("without a token endpoint: %d handlers", len(plain))
	}
}

func TestAJSONConfigurationHasATokenEndpointToo(t *testing.T) {
	issuer := newGrantor(t, nil)
	config := fmt.Sprintf(`{
		"issuer": [{"url": [%q], "audience": ["api"], "client": {"id": "gateway", "secret": "the-gateways-own-secret"}}],
		"session": {"store": {"module": "memory"}, "idle": "10m", "max": 3600000000000, "keys": ["%s"]},
		"token_endpoint": {"path": ["/t1", "/t2"], "grant_types": ["client_credentials", "authorization_code"], "public_clients": ["app"]}
	}`, issuer.URL, strings.Repeat("k", 32))
	module, err := testContext(t).LoadModuleByID("http.handlers.oauth", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{TB: t, Gateway: module.(*Gateway), server: new(caddyhttp.Server), address: nextAddress(), clock: &issuer.clock}
	for _, row := range []struct{ path, form string }{
		{"/t1", "grant_type=client_credentials&client_id=orders&client_secret=s"},
		{"/t2", codeForm},
	} {
		tok := g.answer(g.post(row.path, row.form))
		if tok.ExpiresIn > 3600 || tok.ExpiresIn < 3500 {
			t.Errorf("expires in %d, want the maximum of an hour", tok.ExpiresIn)
		}
		if tok.RefreshToken != "" {
			t.Error("a reference refresh token, though refresh_token is not among the grant types")
		}
		if status, _ := g.get(tok.AccessToken); status != 200 {
			t.Error(status)
		}
	}
	if res := g.post("/token", "grant_type=client_credentials"); res.Code != 401 || !strings.HasPrefix(res.Header().Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("another path: %d", res.Code)
	}
}
