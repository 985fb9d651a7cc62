package devissuer_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/devissuer"
)

func TestDiscoveryAnswersAtEveryPlaceWhereClientsLook(t *testing.T) {
	for _, row := range []struct{ path, at string }{
		{"/issuer", "/.well-known/oauth-authorization-server/issuer"},
		{"/issuer", "/.well-known/openid-configuration/issuer"},
		{"/issuer", "/issuer/.well-known/oauth-authorization-server"},
		{"/issuer", "/issuer/.well-known/openid-configuration"},
		{"/issuer/", "/.well-known/oauth-authorization-server/issuer"},
		{"/issuer/", "/issuer/.well-known/openid-configuration"},
		{"", "/.well-known/oauth-authorization-server"},
		{"", "/.well-known/openid-configuration"},
		{"/", "/.well-known/openid-configuration"},
	} {
		t.Run(row.path+" at "+row.at, func(t *testing.T) {
			s := start(t, row.path, nil)
			doc := s.get(s.at(row.at))
			if doc.status != http.StatusOK || doc.text("issuer") != s.issuer {
				t.Fatalf("got %d %v, want the issuer %s", doc.status, doc.body, s.issuer)
			}
			base := strings.TrimSuffix(s.issuer, "/")
			if doc.text("jwks_uri") != base+"/jwks" || doc.text("token_endpoint") != base+"/token" {
				t.Errorf("the endpoints are not below the issuer: %v", doc.body)
			}
		})
	}
}

func TestTheEndpointsOfTheDiscoveryDocumentWork(t *testing.T) {
	s := start(t, "/issuer", nil)
	doc := s.get(s.issuer + "/.well-known/openid-configuration")
	token := s.post(strings.TrimPrefix(doc.text("token_endpoint"), s.at("")), credentials).text("access_token")
	s.verified(token)
	if keys := s.get(doc.text("jwks_uri")); keys.status != http.StatusOK || keys.body["keys"] == nil {
		t.Errorf("no keys at jwks_uri: %d %v", keys.status, keys.body)
	}
}

func TestThePublishedKeysHaveNoPrivateHalf(t *testing.T) {
	s := start(t, "/issuer", nil)
	for _, key := range s.get(s.issuer + "/jwks").body["keys"].([]any) {
		if _, private := key.(map[string]any)["d"]; private {
			t.Errorf("a private key is published: %v", key)
		}
	}
}

func TestPathsOfOthersAreNotFound(t *testing.T) {
	s := start(t, "/issuer", nil)
	for _, path := range []string{"/", "/issuer", "/issuer/", "/token", "/jwks", "/.well-known/openid-configuration"} {
		if got := s.get(s.at(path)).status; got != http.StatusNotFound {
			t.Errorf("%s: got %d", path, got)
		}
		if s.Owns(path) {
			t.Errorf("%s: claimed", path)
		}
	}
}

func TestOnlyTheFittingMethodIsAnswered(t *testing.T) {
	s := start(t, "/issuer", nil)
	for _, row := range []struct{ method, path, allow string }{
		{http.MethodGet, "/issuer/token", "POST, OPTIONS"},
		{http.MethodPost, "/issuer/jwks", "GET, HEAD, OPTIONS"},
		{http.MethodDelete, "/issuer/.well-known/openid-configuration", "GET, HEAD, OPTIONS"},
	} {
		req := s.request(row.path, credentials)
		req.Method = row.method
		if a := s.do(req); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != row.allow {
			t.Errorf("%s %s: got %d, Allow %q", row.method, row.path, a.status, a.header.Get("Allow"))
		}
	}
}

func TestARotatedKeyStaysPublishedUntilItIsRetired(t *testing.T) {
	s := start(t, "/issuer", nil)
	old := s.post("/auth", credentials).text("access_token")
	if err := s.Rotate(); err != nil {
		t.Fatal(err)
	}
	fresh := s.post("/auth", credentials).text("access_token")
	oldHeader, _ := s.verified(old)
	freshHeader, _ := s.verified(fresh)
	if oldHeader["kid"] == freshHeader["kid"] {
		t.Error("the key did not change")
	}

	s.Retire()
	s.verified(fresh)
	if _, err := s.verify(old); err == nil {
		t.Error("the retired key still verifies")
	}
}

func TestEveryServerHasItsOwnKeys(t *testing.T) {
	a, b := start(t, "/a", nil), start(t, "/b", nil)
	token := a.post("/auth", credentials).text("access_token")
	if _, err := b.verify(token); err == nil {
		t.Error("two servers share a key")
	}
}

func TestItSignsWithTheAlgorithmAskedFor(t *testing.T) {
	for _, alg := range []string{"RS256", "PS256", "ES256", "ES384", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			s := start(t, "/issuer", func(o *devissuer.Options) { o.Algorithm = alg })
			header, _ := s.verified(s.post("/auth", credentials).text("access_token"))
			if header["alg"] != alg {
				t.Errorf("signed with %v", header["alg"])
			}
		})
	}
}

func TestItIsSafeForConcurrentUse(t *testing.T) {
	s := start(t, "/issuer", nil)
	done := make(chan int)
	for range 8 {
		go func() {
			code := s.post("/auth", credentials).status
			s.get(s.issuer + "/jwks")
			if s.Rotate() != nil {
				code = 0
			}
			s.Retire()
			done <- code
		}()
	}
	for range 8 {
		if code := <-done; code != http.StatusOK {
			t.Errorf("got %d", code)
		}
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	for want, change := range map[string]func(*devissuer.Options){
		`issuer "login": must be a URL`:           func(o *devissuer.Options) { o.Issuer = "login" },
		`issuer "http://h/?a": must have no user`: func(o *devissuer.Options) { o.Issuer = "http://h/?a" },
		`audience is missing`:                     func(o *devissuer.Options) { o.Audience = nil },
		`client is missing`:                       func(o *devissuer.Options) { o.Clients = nil },
		`client: the id must not be empty`:        func(o *devissuer.Options) { o.Clients[0].ID = "" },
		`client "demo": scope "a b": must be`:     func(o *devissuer.Options) { o.Clients[0].Scopes = []string{"a b"} },
		`client "demo" is listed twice`:           func(o *devissuer.Options) { o.Clients[1].ID = "demo" },
		`lifetime 1.5s: must be whole seconds`:    func(o *devissuer.Options) { o.Lifetime = 1500 * time.Millisecond },
		`token_path "auth": must begin`:           func(o *devissuer.Options) { o.TokenPaths = []string{"auth"} },
		`token_path "/i/jwks": the path is taken`: func(o *devissuer.Options) { o.TokenPaths = []string{"/i/jwks"} },
		`default_grant "password": can only be`:   func(o *devissuer.Options) { o.DefaultGrant = "password" },
		`claim "exp": the server sets it itself`:  func(o *devissuer.Options) { o.Claims = map[string]any{"exp": 1} },
		`unknown algorithm "HS256"`:               func(o *devissuer.Options) { o.Algorithm = "HS256" },
	} {
		opts := devissuer.Options{
			Issuer:   "http://127.0.0.1/i",
			Audience: []string{audience},
			Clients:  []devissuer.Client{{ID: "demo", Secret: "s"}, {ID: "other", Secret: "s"}},
		}
		change(&opts)
		if _, err := devissuer.New(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
