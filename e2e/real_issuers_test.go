package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/e2e/issuers/zitadel"
)

const audience = "api://orders"

// realIssuer is an authorization server that others wrote.
type realIssuer struct {
	url  string
	proc *process
}

func wantNodeModules(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("node_modules"); err != nil {
		t.Fatalf("the issuers are not installed: %v (run npm ci in e2e, or make test)", err)
	}
}

// startNode runs one of issuers/*.mjs.
func startNode(t *testing.T, program string, env ...string) *realIssuer {
	t.Helper()
	wantNodeModules(t)
	proc := startProcess(t, t.TempDir(), env, "node", filepath.Join("issuers", program))
	return &realIssuer{url: proc.awaitLine(t, "listening "), proc: proc}
}

// startOIDCProvider runs oidc-provider with one client for each algorithm.
func startOIDCProvider(t *testing.T, algorithms ...string) *realIssuer {
	t.Helper()
	return startNode(t, "oidc-provider.mjs", "ALGORITHMS="+strings.Join(algorithms, " "))
}

// token asks oidc-provider for an access token signed with alg.
func (i *realIssuer) token(t *testing.T, alg, scope string) string {
	t.Helper()
	return askToken(t, i.url+"/token", "service-"+alg, "secret", url.Values{
		"grant_type": {"client_credentials"}, "resource": {audience}, "scope": {scope},
	})
}

// rotate makes a new key of alg sign; with drop the old one is published no more.
func (i *realIssuer) rotate(t *testing.T, alg string, drop bool) {
	t.Helper()
	query := url.Values{"alg": {alg}}
	if drop {
		query.Set("drop", "1")
	}
	resp, err := http.Post(i.url+"/_test/rotate?"+query.Encode(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("rotating answered %d", resp.StatusCode)
	}
}

// keyFetches counts what gateways asked of a Node issuer.
func (i *realIssuer) keyFetches(t *testing.T) int {
	t.Helper()
	var counts struct{ Keys int }
	a := get(t, i.url+"/_test/counts", "")
	if err := json.Unmarshal([]byte(a.body), &counts); err != nil {
		t.Fatalf("counts %q: %v", a.body, err)
	}
	return counts.Keys
}

// mockToken asks oauth2-mock-server for a token; it has a subject, no audience.
func (i *realIssuer) mockToken(t *testing.T) string {
	t.Helper()
	return askToken(t, i.url+"/token", "", "", url.Values{
		"grant_type": {"password"}, "username": {"alice"}, "scope": {"orders:read"},
	})
}

// startZitadel runs the example OP inside the test.
func startZitadel(t *testing.T) (issuer string) {
	t.Helper()
	issuer, stop, err := zitadel.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return issuer
}

func zitadelToken(t *testing.T, issuer string) string {
	t.Helper()
	return askToken(t, issuer+"oauth/token", zitadel.ClientID, zitadel.ClientSecret, url.Values{
		"grant_type": {"client_credentials"}, "scope": {"openid"},
	})
}

// askToken is a plain token request of RFC 6749.
func askToken(t *testing.T, endpoint, id, secret string, form url.Values) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "" {
		req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	a, err := send(newClient(10*time.Second), req)
	if err != nil {
		t.Fatalf("asking %s for a token: %v", endpoint, err)
	}
	var reply struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &reply); err != nil || reply.AccessToken == "" {
		t.Fatalf("%s answered %d %s", endpoint, a.status, a.body)
	}
	return reply.AccessToken
}

// tokenParts decodes header and claims without judging them.
func tokenParts(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is not a JWS", token)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := b64.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}
