package caddyoauth

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What restricts who may enter there restricts it here, also where several upstreams
// stand behind.
func TestWhatIsMadeOfOAuth2ProxyLetsTheSamePeopleIn(t *testing.T) {
	h := newDeployment(t)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, "for ", r.Header.Get("X-Forwarded-User"))
	}))
	t.Cleanup(api.Close)
	status, text, problems := oauthCommand(t, "", "convert", "oauth2-proxy", "--",
		"--provider=oidc", "--oidc-issuer-url="+h.issuer.URL, "--client-id=api", "--client-secret=the-gateways-own-secret", "--redirect-url=http://127.0.0.1/oauth2/callback",
		fmt.Sprintf("--http-address=127.0.0.1:%d", h.port), "--email-domain=example.com", "--upstream="+api.URL, "--upstream="+api.URL+"/api/",
		"--skip-auth-route=GET=^/open$", "--skip-claims-from-profile-url", "--skip-jwt-bearer-tokens")
	if status != 0 || strings.Contains(text, "the-gateways-own-secret") {
		t.Fatal(status, problems, text)
	}
	t.Setenv("OAUTH2_PROXY_CLIENT_SECRET", "the-gateways-own-secret")
	load(t, fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n\tauto_https off\n\tgrace_period 1s\n\tstorage file_system %s\n}\n", h.path("storage"))+text)
	get := func(path, method string, claims map[string]any) string {
		req, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", h.port, path), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-User", "mallory")
		if claims != nil {
			req.Header.Set("Authorization", "Bearer "+h.issuer.access("alice", claims))
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusOK {
			return fmt.Sprint(res.StatusCode)
		}
		return fmt.Sprint(res.StatusCode, " ", string(body))
	}
	with := func(email any, more ...any) map[string]any {
		claims := map[string]any{"email": email}
		if len(more) > 0 {
			claims["email_verified"] = more[0]
		}
		return claims
	}
	for name, row := range map[string]struct {
		path, method string
		claims       map[string]any
		want         string
	}{
		"one of the domain":         {"/", "GET", with("a@example.com"), "200 for alice"},
		"in other letters":          {"/api/x", "GET", with("A@Example.COM", true), "200 for alice"},
		"unverified":                {"/", "GET", with("a@example.com", false), "403"},
		"unverified, as a text":     {"/", "GET", with("a@example.com", "false"), "403"},
		"of another domain":         {"/api/x", "GET", with("a@notexample.com"), "403"},
		"of one below":              {"/", "GET", with("a@x.example.com"), "403"},
		"that only looks so":        {"/", "GET", with("a@example.com.evil"), "403"},
		"an address that is a list": {"/", "GET", with([]string{"a@example.com"}), "403"},
		"without an address":        {"/api/x", "GET", map[string]any{}, "403"},
		"without a token":           {"/api/x", "GET", nil, "401"},
		"an open path":              {"/open", "GET", nil, "200 for "},
		"by another method":         {"/open", "POST", nil, "401"},
		"one beside it":             {"/open/x", "GET", nil, "401"},
	} {
		if got := get(row.path, row.method, row.claims); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}
