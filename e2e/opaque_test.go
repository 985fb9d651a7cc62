package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/e2e/issuers/zitadel"
)

// asking is an oauth directive that asks the issuer about tokens.
func asking(issuer, aud, client, words string) string {
	return fmt.Sprintf(`oauth {
		issuer %s {
			audience %s
			introspect {
				%s
			}
			client %s
		}
		copy_claims client_id>X-User-Id
	}`, issuer, aud, words, client)
}

// opaqueToken asks the provider of opaque tokens for one.
func (i *realIssuer) opaqueToken(t *testing.T, resource string) string {
	t.Helper()
	return askToken(t, i.url+"/token", "service", "secret", url.Values{
		"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {"orders:read"},
	})
}

func (i *realIssuer) revoke(t *testing.T, token string) {
	t.Helper()
	form := url.Values{"token": {token}}
	req, err := http.NewRequest(http.MethodPost, i.url+"/token/revocation", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("service", "secret")
	if a, err := send(plainClient, req); err != nil || a.status != http.StatusOK {
		t.Fatalf("revoking: %d %s, %v", a.status, a.body, err)
	}
}

func (i *realIssuer) introspections(t *testing.T) int {
	t.Helper()
	var counts struct{ Introspections int }
	a := get(t, i.url+"/_test/counts", "")
	if err := json.Unmarshal([]byte(a.body), &counts); err != nil {
		t.Fatalf("counts %q: %v", a.body, err)
	}
	return counts.Introspections
}

// gatewayKey is a key pair for private_key_jwt: the file of one half, the JWK of
// the other.
func gatewayKey(t *testing.T) (file, jwk string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "gateway.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	x, y := key.X.FillBytes(make([]byte, 32)), key.Y.FillBytes(make([]byte, 32))
	return file, fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, b64.EncodeToString(x), b64.EncodeToString(y))
}

func TestOpaqueTokensOfOIDCProviderPassWithEachWayToProveTheClient(t *testing.T) {
	t.Parallel()
	file, jwk := gatewayKey(t)
	issuer := startNode(t, "opaque.mjs", "GATEWAY_JWK="+jwk)
	up := startUpstream(t)
	for name, client := range map[string]string{
		"client_secret_basic": "gateway-basic secret",
		"client_secret_post":  "gateway-post secret {\nauth client_secret_post\n}",
		"private_key_jwt":     "gateway-key {\nkey " + file + "\n}",
	} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t, up, asking(issuer.url, audience, client, ""))
			token, before := issuer.opaqueToken(t, audience), issuer.introspections(t)
			if strings.Count(token, ".") == 2 {
				t.Fatal("the token is a JWT")
			}
			for range 3 {
				get(t, g.url("/orders"), token).wantPass(t, "service")
			}
			for _, other := range []string{"urn:other", "urn:none"} {
				get(t, g.url("/orders"), issuer.opaqueToken(t, other)).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
			}
			for range 3 {
				get(t, g.url("/orders"), "made-up").wantChallenge(t, http.StatusUnauthorized, "invalid_token")
			}
			if n := issuer.introspections(t) - before; n != 4 {
				t.Errorf("%d introspections of 4 tokens", n)
			}
			if strings.Contains(g.proc.out.String(), token) || strings.Contains(g.adminGet("/metrics"), token) {
				t.Error("the token is shown")
			}
		})
	}
}

// Of a refresh token oidc-provider says that it is active, and not what it is.
// Without an audience that was an access token, for 14 days, and the upstream
// got it.
func TestARefreshTokenOfOIDCProviderIsNoAccessToken(t *testing.T) {
	t.Parallel()
	issuer := startNode(t, "opaque.mjs")
	up := startUpstream(t)
	made := get(t, issuer.url+"/_test/refresh", "")
	var refresh struct{ Token string }
	if err := json.Unmarshal([]byte(made.body), &refresh); err != nil || refresh.Token == "" {
		t.Fatalf("no refresh token: %d %s", made.status, made.body)
	}
	anyAudience := func(words string) *gateway {
		t.Helper()
		directive := asking(issuer.url, "none", "gateway-basic secret", words)
		return startGateway(t, up, strings.Replace(directive, "audience none", "insecure_any_audience", 1))
	}
	g := anyAudience("")
	get(t, g.url("/orders"), issuer.opaqueToken(t, "urn:none")).wantPass(t, "service")
	get(t, g.url("/orders"), refresh.Token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	await(t, 10*time.Second, "the line that says that nobody says what it is", func() bool {
		return strings.Contains(g.proc.out.String(), "typ_refused")
	})
	// Who wants it so, says so.
	get(t, anyAudience("insecure_any_token").url("/orders"), refresh.Token).wantPass(t, "service")
}

func TestARevocationIsSeenWhenTheAnswerIsForgotten(t *testing.T) {
	t.Parallel()
	issuer := startNode(t, "opaque.mjs")
	up := startUpstream(t)
	g := startGateway(t, up, asking(issuer.url, audience, "gateway-basic secret", "cache 2s"))
	token := issuer.opaqueToken(t, audience)
	get(t, g.url("/orders"), token).wantPass(t, "service")
	issuer.revoke(t, token)
	revoked := time.Now()
	await(t, 30*time.Second, "the revocation to be seen", func() bool {
		return get(t, g.url("/orders"), token).status == http.StatusUnauthorized
	})
	t.Logf("seen after %v, with cache 2s", time.Since(revoked))
	if a := get(t, g.url("/orders"), token); !strings.Contains(a.wantChallenge(t, http.StatusUnauthorized, "invalid_token"), "not active") {
		t.Error("another reason than that it is not active")
	}
}

func TestAnIssuerThatCannotBeAskedIsNoRefusalAndComesBack(t *testing.T) {
	t.Parallel()
	issuer := startNode(t, "opaque.mjs")
	up := startUpstream(t)
	g := startGateway(t, up, asking(issuer.url, audience, "gateway-basic wrong", ""))
	token := issuer.opaqueToken(t, audience)
	for range 8 { // the last ones by the breaker
		get(t, g.url("/orders"), token).wantUnavailable(t)
	}
	if n := issuer.introspections(t); n != 6 { // the sixth is about a token that the gateway made up
		t.Errorf("%d introspections with a wrong secret, want 6", n)
	}
	if out, _, code := g.command("oauth", "doctor", "--config", g.config); code == 0 || !strings.Contains(out, "does not take the client gateway-basic") {
		t.Errorf("the doctor ended with %d:\n%s", code, out)
	}
	g.write(g.site(g.port, asking(issuer.url, audience, "gateway-basic secret", ""), up))
	g.reload()
	get(t, g.url("/orders"), token).wantPass(t, "service")
	issuer.proc.signal(syscall.SIGKILL)
	get(t, g.url("/orders"), token).wantPass(t, "service") // remembered
	get(t, g.url("/orders"), "another").wantUnavailable(t)
}

func TestZitadelsTokensThatLookEncryptedAreAskedAbout(t *testing.T) {
	t.Parallel()
	issuer, stop, err := zitadel.StartOpaque()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	up := startUpstream(t)
	client := zitadel.ClientID + " " + zitadel.ClientSecret
	g := startGateway(t, up, asking(issuer, zitadel.ClientID, client, ""))
	token := zitadelToken(t, issuer)
	t.Logf("%d dots", strings.Count(token, "."))
	get(t, g.url("/orders"), token).seen(t)
	get(t, g.url("/orders"), token+"x").wantChallenge(t, http.StatusUnauthorized, "invalid_token")
}

func TestWithAlwaysZitadelIsAskedAboutItsJWTs(t *testing.T) {
	t.Parallel()
	issuer := startZitadel(t)
	up := startUpstream(t)
	client := zitadel.ClientID + " " + zitadel.ClientSecret
	g := startGateway(t, up, asking(issuer, zitadel.ClientID, client, "always\ncache 1s"))
	token := zitadelToken(t, issuer)
	get(t, g.url("/orders"), token).seen(t)
	req, err := http.NewRequest(http.MethodPost, issuer+"revoke", bytes.NewReader([]byte(url.Values{"token": {token}}.Encode())))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(zitadel.ClientID, zitadel.ClientSecret)
	if a, err := send(plainClient, req); err != nil || a.status != http.StatusOK {
		t.Fatalf("revoking: %d %s, %v", a.status, a.body, err)
	}
	await(t, 30*time.Second, "the revocation to be seen", func() bool {
		return get(t, g.url("/orders"), token).status == http.StatusUnauthorized
	})
}

// oidc-provider signs its answers (RFC 9701) with the feature jwtIntrospection alone.
func TestSignedAnswersOfOIDCProviderCountAndUnsignedOnesDoNot(t *testing.T) {
	t.Parallel()
	issuer, up := startNode(t, "opaque.mjs", "SIGNED_ANSWERS=1"), startUpstream(t)
	token := issuer.opaqueToken(t, audience)
	g := startGateway(t, up, asking(issuer.url, audience, "gateway-basic secret", "jwt_response"))
	get(t, g.url("/orders"), token).wantPass(t, "service")
	get(t, g.url("/orders"), "made-up").wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	issuer = startNode(t, "opaque.mjs")
	token = issuer.opaqueToken(t, audience)
	g = startGateway(t, up, asking(issuer.url, audience, "gateway-basic secret", "jwt_response"))
	for range 3 {
		if a := get(t, g.url("/orders"), token); a.status != http.StatusServiceUnavailable {
			t.Errorf("plain JSON: %d %s", a.status, a.body)
		}
	}
	if log := g.proc.out.String(); strings.Count(log, "it is plain JSON") != 1 {
		t.Errorf("the log says:\n%s", log)
	}
}
