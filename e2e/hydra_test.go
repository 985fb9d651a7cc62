package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bearerOf is a site for the tokens of an issuer, with more words for its block
// and for the directive.
func bearerOf(issuer, words, more string) string {
	return fmt.Sprintf(`oauth {
		issuer %s {
			%s
		}
		copy_claims sub>X-User-Id
		%s
	}`, issuer, words, more)
}

func TestHydraPutsAnAudienceIntoATokenThatTheClientAskedForByAudience(t *testing.T) {
	t.Parallel()
	h := runHydra(t, strictHydra)
	c := h.client(t, nil)
	g := startGateway(t, startUpstream(t), bearerOf(h.desk.url, "audience "+audience, "require scope orders:read"))
	good := c.token(t, url.Values{"audience": {audience}, "scope": {"orders:read"}})
	get(t, g.url("/"), good).wantPass(t, c.id)
	header, claims := tokenParts(t, good)
	if _, has := claims["scope"]; has || fmt.Sprint(claims["scp"]) != "[orders:read]" || header["typ"] != "JWT" || claims["sub"] != c.id {
		t.Errorf("another token than the page says: %v %v", header, claims)
	}
	// By resource (RFC 8707) it gives none, and says nothing.
	bare := c.token(t, url.Values{"resource": {audience}, "scope": {"orders:read"}})
	if _, claims := tokenParts(t, bare); fmt.Sprint(claims["aud"]) != "[]" {
		t.Errorf("aud %v, want an empty list", claims["aud"])
	}
	get(t, g.url("/"), bare).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	get(t, g.url("/"), c.token(t, url.Values{"audience": {audience}})).wantChallenge(t, http.StatusForbidden, "insufficient_scope")
	writeFile(t, g.home, "token.txt", bare)
	out, _, code := g.with("oauth", "explain", "--token-file", filepath.Join(g.home, "token.txt"))
	if code == 0 || !strings.Contains(out, "audience=") {
		t.Errorf("explain does not name the parameter of Hydra; it ends with %d:\n%s", code, out)
	}
}

func TestHydrasOpaqueTokensPassByItsAdminPort(t *testing.T) {
	t.Parallel()
	h := runHydra(t, strictHydra)
	c := h.client(t, map[string]any{"access_token_strategy": "opaque"})
	g := newGateway(t)
	g.serve(change(t, recipeOf(t, "issuers/hydra.md", "caddyfile", "introspect"), "api.example.com", g.url(""),
		"https://hydra.example.com", h.desk.url, "http://hydra-admin:4445", h.admin, "orders:8080", startUpstream(t).address(),
		"/introspect\n", "/introspect {\ncache 1s\n}\n", "orders-app {$HYDRA_SECRET:change-me}", fmt.Sprintf("%s %q", c.id, c.secret)))
	good := c.token(t, url.Values{"audience": {audience}, "scope": {"orders:read"}})
	if !strings.HasPrefix(good, "ory_at_") || strings.Count(good, ".") != 1 {
		t.Errorf("an opaque token of another form: %.8s…", good)
	}
	get(t, g.url("/"), good).wantPass(t, c.id)
	get(t, g.url("/"), c.token(t, url.Values{"scope": {"orders:read"}})).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	get(t, g.url("/"), "ory_at_made-up.token").wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	if doc := get(t, h.desk.url+"/.well-known/openid-configuration", "").body; strings.Contains(doc, "introspection_endpoint") {
		t.Error("the metadata name an introspection endpoint, and the page says that they do not")
	}
	revoke := url.Values{"token": {good}}
	req, err := http.NewRequest(http.MethodPost, h.desk.url+"/oauth2/revoke", strings.NewReader(revoke.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(c.id, url.QueryEscape(c.secret))
	if a, err := send(plainClient, req); err != nil || a.status != http.StatusOK {
		t.Fatalf("revoking: %d %s, %v", a.status, a.body, err)
	}
	await(t, 10*time.Second, "the revocation to be seen", func() bool { return get(t, g.url("/"), good).status == http.StatusUnauthorized })
}

func TestAClientOfTheGatewaysTokenEndpointAsksHydraByAudience(t *testing.T) {
	t.Parallel()
	h := runHydra(t, strictHydra)
	c := h.client(t, nil)
	c.lives(t, "4s")
	g := newGateway(t)
	g.serve(change(t, recipeOf(t, "issuers/hydra.md", "caddyfile", "token_endpoint"), "api.example.com", g.url(""),
		"https://hydra.example.com", h.desk.url, "orders:8080", startUpstream(t).address()))
	token := askToken(t, g.url("/oauth/token"), c.id, c.secret, url.Values{
		"grant_type": {"client_credentials"}, "audience": {audience}, "scope": {"orders:read"},
	})
	if !strings.HasPrefix(token, "oga_") {
		t.Fatalf("no reference token: %.4s…", token)
	}
	first := get(t, g.url("/"), token)
	first.wantPass(t, c.id)
	await(t, 20*time.Second, "another access token behind the reference", func() bool {
		next := get(t, g.url("/"), token)
		next.wantPass(t, c.id)
		return next.seen(t).Header.Get("Authorization") != first.seen(t).Header.Get("Authorization")
	})
}

func TestAHydraClientIsForClientSecretBasicUnlessItSaysOtherwise(t *testing.T) {
	t.Parallel()
	h := runHydra(t, strictHydra)
	g := newGateway(t)
	c := h.client(t, map[string]any{"redirect_uris": []string{g.url("/_oauth/callback")}})
	g.serve(g.site(g.port, bearerOf(h.desk.url, fmt.Sprintf(`audience %s
		client %s "%s" {
			auth client_secret_post
		}`, audience, c.id, c.secret), "login"), startUpstream(t)))
	v := newGuest(t, nil)
	at := v.logIn(g.url("/orders"))
	if at.status != http.StatusServiceUnavailable {
		t.Errorf("with client_secret_post the log-in ends with %d", at.status)
	}
	await(t, 10*time.Second, "the log line that says which method Hydra wants", func() bool {
		return strings.Contains(g.proc.out.String(), "'client_secret_basic', but method 'client_secret_post' was requested")
	})
	out, _, code := g.command("oauth", "doctor", "--config", g.config)
	if !strings.Contains(out, "client_secret_basic") {
		t.Errorf("the doctor does not name the method; it ends with %d:\n%s", code, out)
	}
}
