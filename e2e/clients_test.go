package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// python is the system's own, with the system's own requests.
const python = "/usr/bin/python3"

func TestCurlCallsWithABearerToken(t *testing.T) {
	t.Parallel()
	issuer := startOIDCProvider(t, "ES256")
	g := startGateway(t, startUpstream(t), identity(issuer.url, audience))
	curl := func(more ...string) (body, status, challenge string) {
		t.Helper()
		args := append([]string{"--silent", "--noproxy", "*", "--write-out", "\n%{http_code} %header{www-authenticate}", g.url("/orders")}, more...)
		out, stderr, code := runCommand(t, t.TempDir(), "", "curl", args...)
		if code != 0 {
			t.Fatalf("curl ended with %d: %s", code, stderr)
		}
		body, rest, _ := strings.Cut(out, "\n")
		if cut := strings.LastIndexByte(strings.TrimRight(out, "\n"), '\n'); cut >= 0 {
			body, rest = out[:cut], out[cut+1:]
		}
		status, challenge, _ = strings.Cut(rest, " ")
		return body, status, challenge
	}
	body, status, _ := curl("--oauth2-bearer", issuer.token(t, "ES256", "orders:read"))
	var s seen
	if err := json.Unmarshal([]byte(body), &s); err != nil || status != "200" || s.Header.Get("X-User-Id") != "service-ES256" {
		t.Errorf("curl with a token: %s %s %v", status, body, err)
	}
	if _, status, challenge := curl(); status != "401" || challenge != "Bearer" {
		t.Errorf("curl without a token: %s %q", status, challenge)
	}
	if _, status, challenge := curl("--oauth2-bearer", "nonsense"); status != "401" || !strings.Contains(challenge, `error="invalid_token"`) {
		t.Errorf("curl with nonsense: %s %q", status, challenge)
	}
}

func TestTheGoOAuth2ClientGetsItsOwnTokensAndPasses(t *testing.T) {
	t.Parallel()
	issuer := startOIDCProvider(t, "Ed25519")
	g := startGateway(t, startUpstream(t), identity(issuer.url, audience))
	config := clientcredentials.Config{
		ClientID:       "service-Ed25519",
		ClientSecret:   "secret",
		TokenURL:       issuer.url + "/token",
		Scopes:         []string{"orders:read"},
		EndpointParams: url.Values{"resource": {audience}},
		AuthStyle:      oauth2.AuthStyleInHeader,
	}
	client := config.Client(context.WithValue(t.Context(), oauth2.HTTPClient, plainClient))
	for range 3 {
		a, err := try(client, g.url("/orders"), "")
		if err != nil {
			t.Fatal(err)
		}
		a.wantPass(t, "service-Ed25519")
	}
}

func TestPythonRequestsGetsATokenAndPasses(t *testing.T) {
	t.Parallel()
	issuer := startOIDCProvider(t, "RS256")
	g := startGateway(t, startUpstream(t), identity(issuer.url, audience))
	out, stderr, code := runCommand(t, t.TempDir(), "", python, filepath.Join("clients", "with_requests.py"),
		issuer.url+"/token", "service-RS256", "secret", audience, g.url("/orders"))
	if code != 0 {
		t.Fatalf("the Python client ended with %d (is python3-requests installed?):\n%s", code, stderr)
	}
	var got struct {
		Bare      int    `json:"bare"`
		Challenge string `json:"challenge"`
		Status    int    `json:"status"`
		Seen      seen   `json:"seen"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("the Python client wrote %q: %v", out, err)
	}
	if got.Bare != http.StatusUnauthorized || got.Challenge != "Bearer" {
		t.Errorf("without a token: %d %q", got.Bare, got.Challenge)
	}
	if got.Status != http.StatusOK || got.Seen.Header.Get("X-User-Id") != "service-RS256" {
		t.Errorf("with a token: %d %v", got.Status, got.Seen)
	}
}
