package caddyoauth

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// providerSite is a gateway with the words of a provider, at a stand-in's address.
func providerSite(t *testing.T, issuer *grantor, provider, client, more string) *portal {
	t.Helper()
	s := &portal{gate: rawGate(t, fmt.Sprintf(`oauth {
		issuer %s {
			provider %s
			client %s
		}
		login
		%s
	}`, issuer.URL, provider, client, more), &issuer.clock), issuer: issuer, tokens: map[string]any{"access_token": "opaque"}}
	issuer.reply(s.token)
	return s
}

// A stand-in for Google, made from its published documents (OpenID Connect, "Using
// OAuth 2.0 for Web Server Applications"): opaque access tokens, hd in the ID token,
// and no refresh token unless access_type is offline. It is not Google.
func TestALogInAsAtGoogle(t *testing.T) {
	issuer := newGrantor(t, func(m map[string]any) { m["authorization_endpoint"] = m["issuer"].(string) + "/authorize?tenant=1" })
	s := providerSite(t, issuer, "google", "gateway the-gateways-own-secret", "require claim hd example.com\ncopy_claims sub>X-User-Id email>X-User-Email")
	s.tokens = map[string]any{"access_token": "ya29.a0AfH6SMB", "refresh_token": nil, "scope": "openid https://www.googleapis.com/auth/userinfo.email"}
	s.claims = map[string]any{"hd": "example.com", "email": "alice@example.com", "email_verified": true, "azp": "gateway", "sid": nil}
	b := s.browser()
	asked := b.begin("/orders")
	if asked.Get("scope") != "openid email profile" || asked.Has("response_mode") {
		t.Errorf("asked for %v", asked)
	}
	if res := b.back(asked, "iss", ""); res.Code != http.StatusSeeOther {
		t.Fatal(res.Code, s.logged())
	}
	s.skip(59 * time.Minute) // the access token lives five
	if code := b.status(); code != http.StatusOK || s.last().Get("X-User-Email") != "alice@example.com" || s.last().Get("Authorization") != "" {
		t.Errorf("%d %v; log: %s", code, s.last(), s.logged())
	}
	s.claims["hd"] = nil // a private account
	b = s.browser()
	if res := b.back(b.begin("/orders"), "iss", ""); res.Code != http.StatusSeeOther {
		t.Fatal(res.Code, s.logged())
	}
	if code := b.status(); code != http.StatusForbidden {
		t.Errorf("%d for an account of no organization", code)
	}
}

// A stand-in for Sign in with Apple, made from its published documents ("Creating a
// client secret", "Request an authorization to the Sign in with Apple server"): the
// secret is a JWT, the answer a form that the browser posts, and the user's name is in
// the form the first time alone. It is not Apple.
func TestALogInAsAtApple(t *testing.T) {
	key, err := jwssign.Generate("", "ES256")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key.Private)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "AuthKey_ABC123DEFG.p8")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	issuer := newGrantor(t, func(m map[string]any) { m["authorization_endpoint"] = m["issuer"].(string) + "/authorize?tenant=1" })
	s := providerSite(t, issuer, "apple", "gateway {\nkey "+file+"\nsigned_secret TEAM123456 ABC123DEFG\n}", "copy_claims sub>X-User-Id email>X-User-Email name>X-User-Name")
	s.claims = map[string]any{"email": "alice@privaterelay.appleid.com", "email_verified": true, "sid": nil}
	var secrets []string
	n := 0
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		given := q.Form.Get("client_secret")
		secrets = append(secrets, given)
		claims, err := token.PayloadClaims(given)
		exp, _ := claims["exp"].(json.Number).Int64()
		iat, _ := claims["iat"].(json.Number).Int64()
		if err != nil || q.Basic || claims.String("iss") != "TEAM123456" || claims.String("sub") != "gateway" || claims.String("aud") != issuer.URL ||
			exp <= iat || exp-iat > 15_777_000 || !strings.Contains(headerOf(t, given), `"kid":"ABC123DEFG"`) || !strings.Contains(headerOf(t, given), `"alg":"ES256"`) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
			return
		}
		if q.Form.Get("grant_type") == tokenrequest.RefreshToken { // with no refresh token, and an ID token
			n++
			_ = json.NewEncoder(w).Encode(map[string]any{
				"token_type": "Bearer", "expires_in": 300, "access_token": fmt.Sprint("opaque-", n), "id_token": s.sign("JWT", map[string]any{"sub": "alice"}, s.claims),
			})
			return
		}
		s.token(w, q)
	})
	b := s.browser()
	asked := b.begin("/orders")
	if asked.Get("response_mode") != "form_post" || asked.Get("scope") != "openid email" {
		t.Errorf("asked for %v", asked)
	}
	form := url.Values{"state": {asked.Get("state")}, "code": {"the-code"}, "user": {`{"name":{"firstName":"Mallory"},"email":"mallory@example.com"}`}}
	kept := b.cookies
	b.cookies = map[string]string{} // what is posted from another site has none
	res := b.send(http.MethodPost, "/_oauth/callback", form.Encode(), "Content-Type", formType, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Origin", "https://appleid.apple.com")
	b.cookies = kept
	if res.Code != http.StatusSeeOther || strings.Contains(res.Header().Get("Location"), "user") {
		t.Fatal(res.Code, res.Header(), s.logged())
	}
	res = b.do(http.MethodGet, "/_oauth/callback"+res.Header().Get("Location"), append([]string{"Sec-Fetch-Site", "cross-site"}, navigation[:4]...)...)
	if res.Code != http.StatusSeeOther || res.Header().Get("Location") != "/orders" {
		t.Fatal(res.Code, res.Header(), s.logged())
	}
	for range 2 {
		if code := b.status(); code != http.StatusOK || s.last().Get("X-User-Email") != "alice@privaterelay.appleid.com" || s.last().Get("X-User-Name") != "" {
			t.Errorf("%d %v; log: %s", code, s.last(), s.logged())
		}
		s.skip(accessLife + time.Second)
	}
	if len(secrets) < 2 || secrets[0] == secrets[1] {
		t.Errorf("%d secrets, and not a new one for each call", len(secrets))
	}
	// A form of a log-in that another browser began.
	other := s.browser()
	other.want("a form without the cookie", other.do(http.MethodGet, "/_oauth/callback?"+form.Encode(), navigation...), http.StatusBadRequest, "")
	res = other.send(http.MethodPost, "/_oauth/callback", "state="+strings.Repeat("x", 70<<10), "Content-Type", formType)
	if res.Code != http.StatusBadRequest {
		t.Errorf("%d for a form without an end", res.Code)
	}
}

func headerOf(t *testing.T, jwt string) string {
	t.Helper()
	first, _, _ := strings.Cut(jwt, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// LinkedIn answers invalid_client to a confidential client that sends a verifier.
func TestALogInWithoutACodeChallengeSendsNoVerifier(t *testing.T) {
	issuer := newGrantor(t, func(m map[string]any) { m["authorization_endpoint"] = m["issuer"].(string) + "/authorize?tenant=1" })
	s := providerSite(t, issuer, "google", "gateway the-gateways-own-secret", "")
	s.site.Block.InsecureNoPKCE = true
	sent := url.Values{}
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		sent = q.Form
		_ = json.NewEncoder(w).Encode(map[string]any{
			"token_type": "Bearer", "access_token": "opaque", "id_token": s.sign("JWT", map[string]any{"sub": "alice", "nonce": s.asked.Get("nonce")}),
		})
	})
	b := s.browser()
	asked := b.begin("/orders")
	if res := b.back(asked, "iss", ""); res.Code != http.StatusSeeOther || asked.Has("code_challenge") || sent.Has("code_verifier") {
		t.Errorf("%d, asked for %v, sent %v", res.Code, asked, sent)
	}
}
