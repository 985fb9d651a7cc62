package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// identity is the shortest directive that also tells the upstream who calls.
func identity(issuer, aud string) string {
	return fmt.Sprintf("oauth %s %s {\n\t\tcopy_claims sub>X-User-Id\n\t}", issuer, aud)
}

func TestTokensOfOIDCProviderPassInFourAlgorithms(t *testing.T) {
	t.Parallel()
	algorithms := []string{"RS256", "PS256", "ES256", "Ed25519"}
	issuer := startOIDCProvider(t, algorithms...)
	up := startUpstream(t)
	g := startGateway(t, up, identity(issuer.url, audience))
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			token := issuer.token(t, alg, "orders:read")
			for range 2 { // verified, then from the cache
				get(t, g.url("/orders"), token).wantPass(t, "service-"+alg)
			}
			broken := token[:len(token)-8] + strings.Repeat("A", 8)
			get(t, g.url("/orders"), broken).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
		})
	}
	if upstreamSaw := up.requests.Load(); upstreamSaw != int64(2*len(algorithms)) {
		t.Errorf("the upstream saw %d requests, want the good ones alone: %d", upstreamSaw, 2*len(algorithms))
	}
}

func TestEachKindOfRefusalHasItsOwnChallenge(t *testing.T) {
	t.Parallel()
	f := startFakeIssuer(t)
	up := startUpstream(t)
	g := startGateway(t, up, fmt.Sprintf(`oauth %s %s {
		realm orders
		require scope orders:read
	}`, f.url, audience))
	good := f.token(nil)
	if a := get(t, g.url("/"), good); a.status != http.StatusOK {
		t.Fatalf("a good token gets %d %s", a.status, a.body)
	}
	past := time.Now().Add(-time.Hour).Unix()
	tests := []struct {
		name   string
		fields []string // of Authorization
		status int
		code   string
	}{
		{"no credential", nil, 401, ""},
		{"another scheme", []string{"Basic YTpi"}, 401, ""},
		{"two credentials", []string{"Bearer " + good, "Bearer " + good}, 400, "invalid_request"},
		{"a comma list", []string{"Bearer " + good + ", Bearer " + good}, 400, "invalid_request"},
		{"something behind the token", []string{"Bearer " + good + " x"}, 400, "invalid_request"},
		{"not a JWT", []string{"Bearer abc"}, 401, "invalid_token"},
		{"expired", []string{"Bearer " + f.token(map[string]any{"exp": past})}, 401, "invalid_token"},
		{"no exp", []string{"Bearer " + f.token(map[string]any{"exp": nil})}, 401, "invalid_token"},
		{"another audience", []string{"Bearer " + f.token(map[string]any{"aud": "api://bills"})}, 401, "invalid_token"},
		{"another issuer", []string{"Bearer " + f.token(map[string]any{"iss": "http://127.0.0.1:1"})}, 401, "invalid_token"},
		{"bad signature", []string{"Bearer " + f.badSignature(newSignKey(t))}, 401, "invalid_token"},
		{"no signature", []string{"Bearer " + good[:strings.LastIndexByte(good, '.')+1]}, 401, "invalid_token"},
		{"scope missing", []string{"Bearer " + f.token(map[string]any{"scope": "orders:readonly"})}, 403, "insufficient_scope"},
	}
	before := up.requests.Load()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodGet, g.url("/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header["Authorization"] = test.fields
			a, err := send(plainClient, req)
			if err != nil {
				t.Fatal(err)
			}
			challenge := a.wantChallenge(t, test.status, test.code)
			if !strings.Contains(challenge, `realm="orders"`) {
				t.Errorf("challenge %q lacks the realm", challenge)
			}
			if test.status == http.StatusForbidden && !strings.Contains(challenge, `scope="orders:read"`) {
				t.Errorf("challenge %q lacks the scope that is missing", challenge)
			}
		})
	}
	if up.requests.Load() != before {
		t.Errorf("%d refused requests reached the upstream", up.requests.Load()-before)
	}
}

func TestTheClientsOwnIdentityHeadersNeverReachTheUpstream(t *testing.T) {
	t.Parallel()
	f := startFakeIssuer(t)
	up := startUpstream(t)
	g := startGateway(t, up, fmt.Sprintf(`oauth %s %s {
		copy_claims sub>X-User-Id email>X-User-Email
		allow_anonymous
	}`, f.url, audience))
	for name, token := range map[string]string{"anonymous": "", "with a token": f.token(nil)} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodGet, g.url("/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, spelling := range []string{"X-User-Id", "X_User_Id", "X-User-Email", "x_user-email"} {
				req.Header[spelling] = []string{"mallory"}
			}
			req.Header.Set("Connection", "X-User-Id")
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			a, err := send(plainClient, req)
			if err != nil {
				t.Fatal(err)
			}
			header := a.seen(t).Header
			for field, values := range header {
				for _, value := range values {
					if value == "mallory" {
						t.Errorf("the upstream saw %s: mallory", field)
					}
				}
			}
			if token != "" && header.Get("X-User-Id") != "alice" {
				t.Errorf("the upstream saw X-User-Id %q, want alice", header.Get("X-User-Id"))
			}
		})
	}
}
