package caddyoauth

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

// What an issuer is called, and where it is asked, are two things.

// AD FS calls itself one thing in its metadata and ID tokens, and another in
// access tokens.
func TestABrowserLogsInWhereAccessTokensNameTheirIssuerByAnotherText(t *testing.T) {
	const trust = "http://adfs.corp.example/adfs/services/trust"
	issuer := newGrantor(t, func(m map[string]any) {
		m["authorization_endpoint"], m["access_token_issuer"] = m["issuer"].(string)+"/authorize?tenant=1", trust
	})
	s := &portal{issuer: issuer, gate: rawGate(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\nclient gateway the-gateways-own-secret\naccess_token_issuer %s\n}\nlogin\n}", issuer.URL, trust), &issuer.clock)}
	issuer.reply(s.token)
	access := map[string]any{"iss": trust, "aud": "api", "sub": "alice", "client_id": "gateway"}
	s.tokens = map[string]any{"access_token": s.sign("JWT", access)}
	if status := s.browser().logIn().status(); status != http.StatusOK {
		t.Errorf("%d with a session; log: %s", status, s.logged())
	}
	if status, _ := s.get(s.sign("JWT", access)); status != http.StatusOK {
		t.Errorf("%d with an access token", status)
	}
	access["iss"] = issuer.URL
	if status, _ := s.get(s.sign("JWT", access)); status != http.StatusUnauthorized {
		t.Errorf("%d with a token that names the issuer of ID tokens", status)
	}
	s.tokens = map[string]any{"access_token": s.sign("JWT", access)}
	b := s.browser()
	b.want("a log-in with such an access token", b.back(b.begin("/orders")), http.StatusForbidden, "")
}

func TestABrowserLogsInAtAnIssuerWithoutMetadata(t *testing.T) {
	issuer := newGrantor(t, func(m map[string]any) { m["issuer"] = "https://nobody.example" })
	s := &portal{issuer: issuer, gate: rawGate(t, fmt.Sprintf(`oauth {
		issuer %[1]s {
			audience api
			client gateway the-gateways-own-secret
			jwks %[1]s/jwks
			authorization_endpoint %[1]s/authorize?tenant=1
			token_endpoint %[1]s/token
			end_session_endpoint %[1]s/end
		}
		login
	}`, issuer.URL), &issuer.clock)}
	issuer.reply(s.token)
	b := s.browser().logIn()
	if status := b.status(); status != http.StatusOK {
		t.Fatalf("%d with a session; log: %s", status, s.logged())
	}
	res := b.do(http.MethodPost, "/_oauth/logout", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	if to := res.Header().Get("Location"); res.Code != http.StatusSeeOther && res.Code != http.StatusFound || !strings.HasPrefix(to, issuer.URL+"/end") {
		t.Errorf("a log-out: %d to %q", res.Code, to)
	}
}

// apiServer shows its keys to who brings the token of a service account, and names
// them at a node's address.
func apiServer(t *testing.T, key *jwssign.Key) (server *httptest.Server, wants *atomic.Value, ca string) {
	t.Helper()
	wants = new(atomic.Value)
	wants.Store("Bearer first-token")
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != wants.Load():
			http.Error(w, `{"kind":"Status","status":"Failure","reason":"Forbidden","code":403}`, http.StatusForbidden)
		case r.URL.Path == "/.well-known/openid-configuration":
			fmt.Fprint(w, `{"issuer":"https://kubernetes.default.svc.cluster.local","jwks_uri":"https://10.0.0.7:6443/openid/v1/jwks"}`)
		case r.URL.Path == "/openid/v1/jwks":
			_, _ = w.Write(jwssign.Set(key))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return server, wants, ca
}

func TestATokenOfAServiceAccountPassesByKeysThatTheGatewaysOwnTokenOpens(t *testing.T) {
	key := benchKey(t, "EdDSA")
	server, wants, ca := apiServer(t, key)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("first-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var c clock
	g := rawGate(t, fmt.Sprintf(`oauth {
		issuer https://kubernetes.default.svc.cluster.local {
			audience orders
			jwks %s/openid/v1/jwks
			bearer_token_file %s
			trust_pool file %s
		}
		require claim kubernetes.io.namespace shop
	}`, server.URL, file, ca), &c)
	now := c.now().Unix()
	tok, err := key.Token("JWT", map[string]any{
		"iss": "https://kubernetes.default.svc.cluster.local", "aud": []string{"orders"}, "sub": "system:serviceaccount:shop:cart", "iat": now, "exp": now + 300,
		"kubernetes.io": map[string]any{"namespace": "shop"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := g.get(tok); status != http.StatusOK {
		t.Errorf("%d; log: %s", status, g.logged())
	}
	body := fmt.Sprintf("oauth {\nissuer https://kubernetes.default.svc.cluster.local {\naudience orders\n%%s %s%%s\nbearer_token_file %s\ntrust_pool file %s\n}\n}", server.URL, file, ca)
	examined(t, fmt.Sprintf(body, "jwks", "/openid/v1/jwks")).wants(t, "ok keys: 1 usable key at "+server.URL)
	examined(t, fmt.Sprintf(body, "metadata", "/.well-known/openid-configuration")).wants(t, "ok metadata: ", "fail keys: https://10.0.0.7:6443/openid/v1/jwks")
	wants.Store("Bearer second-token")
	d := examined(t, fmt.Sprintf(body, "jwks", "/openid/v1/jwks"))
	d.wants(t, "fail keys: write bearer_token_file /var/run/secrets/kubernetes.io/serviceaccount/token")
	g.hides([]string{"first-token"}, d.raw, g.logged())
	if err := os.WriteFile(file, []byte("second-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	examined(t, fmt.Sprintf(body, "jwks", "/openid/v1/jwks")).wants(t, "ok keys: 1 usable key at "+server.URL)
}

func TestTheDoctorKnowsTheNamesOfADFSAndTheAudienceOfCognito(t *testing.T) {
	issuer := newGrantor(t, func(m map[string]any) { m["access_token_issuer"] = "http://adfs.corp.example/adfs/services/trust" })
	body := "oauth {\nissuer " + issuer.URL + " {\naudience api\n%s\n}\n}"
	examined(t, fmt.Sprintf(body, "")).wants(t, "fail metadata: write access_token_issuer http://adfs.corp.example/adfs/services/trust in the issuer block")
	if d := examined(t, fmt.Sprintf(body, "access_token_issuer http://adfs.corp.example/adfs/services/trust")); d.Result == "fail" {
		t.Error(d.raw)
	}
	const cognito = "oauth {\nissuer https://cognito-idp.eu-central-1.amazonaws.com/p {\naudience app\njwks testdata/keys/issuer.jwks.json\n%s\n}\n}"
	examined(t, fmt.Sprintf(cognito, "")).wants(t, "warn settings: write client_id_as_audience beside it")
	if d := examined(t, fmt.Sprintf(cognito, "client_id_as_audience")); strings.Contains(d.raw, "client_id_as_audience") {
		t.Error(d.raw)
	}
}
