package devissuer_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/caddyoauth/caddyoauth/devissuer"
)

func withTool(o *devissuer.Options) {
	o.Clients = append(o.Clients, devissuer.Client{ID: "tool", Scopes: []string{"read"}, RedirectURIs: []string{back, "https://app.example:1/cb"}})
}

func TestAPublicClientLogsAUserInWithItsVerifierAlone(t *testing.T) {
	s := start(t, "/issuer", withTool)
	status, got := s.logIn(authorization("verifier", "user", "alice", "client_id", "tool"))
	if status != http.StatusSeeOther || got.Get("code") == "" {
		t.Fatalf("%d %v", status, got)
	}
	form := "client_id=tool&grant_type=authorization_code&redirect_uri=" + url.QueryEscape(back) + "&code=" + got.Get("code") + "&code_verifier=verifier"
	wantError(t, s.post("/issuer/token", form+"&client_secret=guessed"), 401, "invalid_client")
	a := s.post("/issuer/token", form)
	if a.status != http.StatusOK || a.text("refresh_token") == "" {
		t.Fatalf("%d %v", a.status, a.body)
	}
	if _, claims := s.verified(a.text("access_token")); claims["sub"] != "alice" || claims["client_id"] != "tool" {
		t.Errorf("%v", claims)
	}
	again := s.post("/issuer/token", "client_id=tool&grant_type=refresh_token&refresh_token="+a.text("refresh_token"))
	if again.status != http.StatusOK || again.text("refresh_token") == a.text("refresh_token") {
		t.Errorf("the refresh: %d %v", again.status, again.body)
	}
}

func TestAPublicClientGetsNothingForItself(t *testing.T) {
	s := start(t, "/issuer", withTool)
	wantError(t, s.post("/issuer/token", "client_id=tool&grant_type=client_credentials"), 400, "unauthorized_client")
	wantError(t, s.post("/issuer/token", "client_id=tool"), 400, "invalid_request")
	wantError(t, s.post("/issuer/token", "grant_type=client_credentials"), 401, "invalid_client")
}

func TestAPublicClientOnLoopbackMayTakeAnyPort(t *testing.T) {
	s := start(t, "/issuer", withTool)
	for address, want := range map[string]int{
		"http://127.0.0.1:4711/callback":           http.StatusOK,
		"http://127.0.0.1/callback":                http.StatusOK,
		"http://127.0.0.1:4711/other":              http.StatusBadRequest,
		"http://127.0.0.1:4711/callback?more":      http.StatusBadRequest,
		"http://user@127.0.0.1:4711/callback":      http.StatusBadRequest,
		"https://127.0.0.1:4711/callback":          http.StatusBadRequest,
		"http://localhost:9/callback":              http.StatusBadRequest,
		"http://127.0.0.1.evil.example:9/callback": http.StatusBadRequest,
		"https://app.example:2/cb":                 http.StatusBadRequest,
		"https://app.example:1/cb":                 http.StatusOK,
	} {
		if got := s.get(s.issuer + "/authorize?" + authorization("v", "client_id", "tool", "redirect_uri", address)).status; got != want {
			t.Errorf("%s: %d, want %d", address, got, want)
		}
	}
	s = start(t, "/issuer", withLogin)
	if got := s.get(s.issuer + "/authorize?" + authorization("v", "redirect_uri", "http://127.0.0.1:4711/callback")).status; got != http.StatusBadRequest {
		t.Errorf("a client with a secret at another port: %d", got)
	}
}

func TestTheDocumentSaysThatThereArePublicClients(t *testing.T) {
	for want, change := range map[bool]func(*devissuer.Options){true: withTool, false: nil} {
		s := start(t, "/issuer", change)
		methods, _ := s.get(s.issuer + "/.well-known/openid-configuration").body["token_endpoint_auth_methods_supported"].([]any)
		if got := slices.Contains(methods, any("none")); got != want {
			t.Errorf("%v lists none: %v", methods, got)
		}
	}
}

func TestScriptsOfAnyOriginMayAskForTokensAndDocuments(t *testing.T) {
	s := start(t, "/issuer", withTool)
	for path, methods := range map[string]string{"/issuer/token": "POST", "/issuer/jwks": "GET, HEAD", "/issuer/.well-known/openid-configuration": "GET, HEAD"} {
		req := s.request(path, "")
		req.Method = http.MethodOptions
		req.Header.Set("Origin", "https://app.example")
		req.Header.Set("Access-Control-Request-Method", "POST")
		if a := s.do(req); a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Access-Control-Allow-Methods") != methods {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
	if a := s.post("/issuer/token", "client_id=tool"); a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("the answer is for %q", a.header.Get("Access-Control-Allow-Origin"))
	}
}
