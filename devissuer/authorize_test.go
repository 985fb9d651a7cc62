package devissuer_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/devissuer"
)

const back = "http://127.0.0.1:9/callback"

func withLogin(o *devissuer.Options) { o.Clients[0].RedirectURIs = []string{back} }

// authorization is a good request, changed by names and values.
func authorization(verifier string, change ...string) string {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {"demo"}, "redirect_uri": {back}, "scope": {"openid offline_access read"}, "state": {"s"},
		"nonce": {"n"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(change); i += 2 {
		q.Set(change[i], change[i+1])
	}
	return q.Encode()
}

// logIn fills the form in, and answers what the client gets back.
func (r *running) logIn(form string) (status int, answer url.Values) {
	r.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r.request("/issuer/authorize", form))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	at, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		r.t.Fatal(err)
	}
	if at.Host != "" && !strings.HasPrefix(at.String(), back+"?") {
		r.t.Errorf("sent to %s", at)
	}
	return resp.StatusCode, at.Query()
}

func TestAUserLogsInWithCodeAndPKCE(t *testing.T) {
	s := start(t, "/issuer", withLogin)
	if a := s.get(s.issuer + "/authorize?" + authorization("v")); a.status != http.StatusOK || a.header.Get("X-Frame-Options") != "DENY" {
		t.Fatalf("no form: %d %v", a.status, a.header)
	}
	status, got := s.logIn(authorization("verifier", "user", "alice"))
	if status != http.StatusSeeOther || got.Get("state") != "s" || got.Get("iss") != s.issuer || got.Get("code") == "" {
		t.Fatalf("%d %v", status, got)
	}
	form := credentials + "&grant_type=authorization_code&redirect_uri=" + url.QueryEscape(back) + "&code=" + got.Get("code") + "&code_verifier="
	a := s.post("/issuer/token", form+"verifier")
	if a.status != http.StatusOK || a.text("scope") != "read" || a.text("refresh_token") == "" {
		t.Fatalf("%d %v", a.status, a.body)
	}
	_, access := s.verified(a.text("access_token"))
	_, id := s.verified(a.text("id_token"))
	if access["sub"] != "alice" || access["client_id"] != "demo" || id["sub"] != "alice" || id["aud"] != "demo" || id["nonce"] != "n" || id["sid"] == "" {
		t.Errorf("%v %v", access, id)
	}
	wantError(t, s.post("/issuer/token", form+"verifier"), 400, "invalid_grant")
	again := s.post("/issuer/token", credentials+"&grant_type=refresh_token&refresh_token="+a.text("refresh_token"))
	if _, claims := s.verified(again.text("access_token")); claims["sub"] != "alice" {
		t.Errorf("after a refresh: %v", claims)
	}
}

func TestACodeIsGoodForItsRequestAlone(t *testing.T) {
	s := start(t, "/issuer", withLogin)
	for name, form := range map[string]string{
		"another verifier": "client_id=demo&client_secret=demo-secret&code_verifier=x&redirect_uri=" + url.QueryEscape(back),
		"another client":   "client_id=other&client_secret=other-secret&code_verifier=v&redirect_uri=" + url.QueryEscape(back),
		"another address":  "client_id=demo&client_secret=demo-secret&code_verifier=v&redirect_uri=http://127.0.0.1:9/",
	} {
		_, got := s.logIn(authorization("v", "user", "alice"))
		a := s.post("/issuer/token", form+"&grant_type=authorization_code&code="+got.Get("code"))
		if a.status != 400 || a.text("error") != "invalid_grant" {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}
	_, got := s.logIn(authorization("v", "user", "alice"))
	s.clock.advance(codeLife)
	wantError(t, s.post("/issuer/token", credentials+"&grant_type=authorization_code&code_verifier=v&redirect_uri="+url.QueryEscape(back)+"&code="+got.Get("code")), 400, "invalid_grant")
}

const codeLife = 60e9

func TestAWrongAuthorizationRequestIsReportedToARegisteredRedirectURIAlone(t *testing.T) {
	s := start(t, "/issuer", withLogin)
	for want, change := range map[string][]string{
		"access_denied":             {"user", "alice", "deny", "1"},
		"unsupported_response_type": {"response_type", "token"},
		"invalid_request":           {"code_challenge_method", "plain"},
		"invalid_scope":             {"scope", "openid admin"},
	} {
		if status, got := s.logIn(authorization("v", change...)); status != http.StatusSeeOther || got.Get("error") != want || got.Get("iss") != s.issuer {
			t.Errorf("%s: %d %v", want, status, got)
		}
	}
	for _, change := range [][]string{{"client_id", "nobody"}, {"client_id", "other"}, {"redirect_uri", "https://evil.example"}, {"redirect_uri", ""}} {
		if status, got := s.logIn(authorization("v", append(change, "user", "alice")...)); status != 400 || len(got) > 0 {
			t.Errorf("%v: %d %v", change, status, got)
		}
	}
	if a := s.get(s.issuer + "/logout?client_id=demo&post_logout_redirect_uri=https://evil.example"); a.status != 200 {
		t.Errorf("logout: %d", a.status)
	}
}
