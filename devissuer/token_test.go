package devissuer_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddyoauth/caddyoauth/devissuer"
)

func TestIDAndSecretAloneGetATokenPair(t *testing.T) {
	s := start(t, "/issuer", nil)
	for _, path := range []string{"/auth", "/issuer/token"} {
		a := s.post(path, credentials)
		if a.status != http.StatusOK || a.text("access_token") == "" || a.text("refresh_token") == "" {
			t.Fatalf("%s: got %d %v", path, a.status, a.body)
		}
		if a.body["expires_in"] != 15.0 || a.text("token_type") != "Bearer" || a.text("scope") != "read write" {
			t.Errorf("%s: got %v", path, a.body)
		}
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %v", path, a.header)
		}
	}
}

func TestTheAccessTokenFollowsTheJWTProfile(t *testing.T) {
	s := start(t, "/issuer", func(o *devissuer.Options) { o.Claims = map[string]any{"groups": []string{"staff", "demo"}} })
	first, second := s.post("/auth", credentials), s.post("/auth", credentials)
	header, claims := s.verified(first.text("access_token"))
	if header["typ"] != "at+jwt" || header["kid"] == nil {
		t.Errorf("header %v", header)
	}
	_, others := s.verified(second.text("access_token"))
	if claims["jti"] == nil || claims["jti"] == others["jti"] {
		t.Errorf("jti %v is not unique", claims["jti"])
	}
	delete(claims, "jti")
	want := map[string]any{
		"iss": s.issuer, "sub": "demo", "client_id": "demo", "aud": audience, "scope": "read write",
		"iat": 1.8e9, "exp": 1.8e9 + 15, "groups": []any{"staff", "demo"},
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Error(diff)
	}
}

func TestSeveralAudiencesAreAList(t *testing.T) {
	s := start(t, "/issuer", func(o *devissuer.Options) { o.Audience = []string{"a", "b"} })
	_, claims := s.verified(s.post("/auth", credentials).text("access_token"))
	if diff := cmp.Diff([]any{"a", "b"}, claims["aud"]); diff != "" {
		t.Error(diff)
	}
}

func TestAnExplicitClientCredentialsGrantGetsNoRefreshToken(t *testing.T) {
	s := start(t, "/issuer", nil)
	a := s.post("/auth", credentials+"&grant_type=client_credentials")
	if _, there := a.body["refresh_token"]; there || a.status != http.StatusOK {
		t.Errorf("got %d %v", a.status, a.body)
	}
}

func TestWithoutADefaultGrantTheGrantTypeMustBeNamed(t *testing.T) {
	s := start(t, "/issuer", func(o *devissuer.Options) { o.DefaultGrant = "" })
	wantError(t, s.post("/auth", credentials), http.StatusBadRequest, "invalid_request")
	if a := s.post("/auth", credentials+"&grant_type=client_credentials"); a.status != http.StatusOK {
		t.Errorf("got %d %v", a.status, a.body)
	}
}

func TestARefreshTokenWithoutAGrantTypeIsNotTakenForTheDefaultGrant(t *testing.T) {
	s := start(t, "/issuer", nil)
	wantError(t, s.post("/refresh", credentials+"&refresh_token=x"), http.StatusBadRequest, "invalid_request")
}

func TestAnUnknownGrantIsUnsupported(t *testing.T) {
	s := start(t, "/issuer", nil)
	wantError(t, s.post("/auth", credentials+"&grant_type=password"), http.StatusBadRequest, "unsupported_grant_type")
}

func TestTheScopeParameterSelectsAmongTheClientsScopes(t *testing.T) {
	s := start(t, "/issuer", nil)
	for _, row := range []struct{ asked, got string }{
		{"read", "read"}, {"write+read", "write read"}, {"read+read", "read"}, {"", "read write"},
	} {
		a := s.post("/auth", credentials+"&scope="+row.asked)
		if a.text("scope") != row.got {
			t.Errorf("%q: got %d %v", row.asked, a.status, a.body)
			continue
		}
		if _, claims := s.verified(a.text("access_token")); claims["scope"] != row.got {
			t.Errorf("%q: the token has %v", row.asked, claims["scope"])
		}
	}
	for _, asked := range []string{"admin", "read+admin", "READ", "read++write", "+read", "rea"} {
		wantError(t, s.post("/auth", credentials+"&scope="+asked), http.StatusBadRequest, "invalid_scope")
	}
}

func TestTheClientMayAuthenticateInTheHeader(t *testing.T) {
	s := start(t, "/issuer", func(o *devissuer.Options) {
		o.Clients = append(o.Clients, devissuer.Client{ID: "a:b", Secret: "p%&ss wörd"})
	})
	req := s.request("/issuer/token", "grant_type=client_credentials")
	req.SetBasicAuth("a%3Ab", "p%25%26ss+w%C3%B6rd") // form-encoded, RFC 6749 §2.3.1
	if a := s.do(req); a.status != http.StatusOK {
		t.Errorf("got %d %v", a.status, a.body)
	}
}

func TestAClientThatCannotProveItselfIsRefused(t *testing.T) {
	s := start(t, "/issuer", nil)
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	for name, row := range map[string]struct{ form, authorization string }{
		"nothing":                    {},
		"wrong secret":               {form: "client_id=demo&client_secret=wrong"},
		"no secret":                  {form: "client_id=demo"},
		"another's secret":           {form: "client_id=demo&client_secret=other-secret"},
		"unknown client":             {form: "client_id=nobody&client_secret=demo-secret"},
		"unknown client, no secret":  {form: "client_id=nobody"},
		"wrong secret in the header": {authorization: basic("demo:wrong")},
		"no colon in the header":     {authorization: basic("demo")},
		"another scheme":             {authorization: "Bearer abc"},
	} {
		t.Run(name, func(t *testing.T) {
			req := s.request("/auth", row.form)
			if row.authorization != "" {
				req.Header.Set("Authorization", row.authorization)
			}
			a := s.do(req)
			wantError(t, a, http.StatusUnauthorized, "invalid_client")
			if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
				t.Error("a 401 without a challenge")
			}
		})
	}
}

func TestARequestThatCanBeReadInTwoWaysIsRefused(t *testing.T) {
	s := start(t, "/issuer", nil)
	for name, form := range map[string]string{
		"parameter twice": credentials + "&scope=read&scope=write",
		"bad escape":      credentials + "&scope=%zz",
		"two ways":        credentials,
		"two ids":         "client_id=other",
	} {
		t.Run(name, func(t *testing.T) {
			req := s.request("/auth", form)
			if strings.HasPrefix(name, "two ") {
				req.SetBasicAuth("demo", "demo-secret")
			}
			wantError(t, s.do(req), http.StatusBadRequest, "invalid_request")
		})
	}
}

func TestSecretsAreNotTakenFromTheURL(t *testing.T) {
	s := start(t, "/issuer", nil)
	wantError(t, s.post("/auth?"+credentials, ""), http.StatusUnauthorized, "invalid_client")
}

func TestOnlyAFormIsRead(t *testing.T) {
	s := start(t, "/issuer", nil)
	for _, kind := range []string{"application/json", "multipart/form-data; boundary=x", "text/plain", ""} {
		req := s.request("/auth", credentials)
		req.Header.Set("Content-Type", kind)
		wantError(t, s.do(req), http.StatusBadRequest, "invalid_request")
	}
	req := s.request("/auth", credentials)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	if a := s.do(req); a.status != http.StatusOK {
		t.Errorf("with a charset: got %d %v", a.status, a.body)
	}
}

func TestAHugeBodyIsRefused(t *testing.T) {
	s := start(t, "/issuer", nil)
	form := credentials + "&x=" + strings.Repeat("x", 1<<20)
	wantError(t, s.post("/auth", form), http.StatusRequestEntityTooLarge, "invalid_request")
}
