package caddyoauth

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
)

// adminIssuers serves one request as Caddy's admin endpoint would.
func adminIssuers(t *testing.T, method, target string) (status int, body string) {
	t.Helper()
	return adminOf(t, "admin.api.oauth_issuers", method, target, "")
}

// stateOfIssuer is how it stands with one issuer.
func stateOfIssuer(t *testing.T, issuer string) issuers.State {
	t.Helper()
	status, body := adminIssuers(t, http.MethodGet, "/oauth/issuers")
	var all []issuers.State
	if err := json.Unmarshal([]byte(body), &all); err != nil || status != 200 {
		t.Fatal(status, body, err)
	}
	for _, one := range all {
		if one.Issuer == issuer {
			return one
		}
	}
	t.Fatalf("no %s in %s", issuer, body)
	return issuers.State{}
}

func TestAnOperatorSeesTheKeysOfEachIssuerAndFetchesThem(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	tok := g.token("orders")
	g.wants(map[string]int{tok.AccessToken: 200})
	one := stateOfIssuer(t, issuer.URL)
	if len(one.Keys) != 1 || one.Keys[0].Type != "OKP" || one.Keys[0].Curve != "Ed25519" || strings.Join(one.Keys[0].Algorithms, " ") != "EdDSA" ||
		one.Keys[0].Since.IsZero() || one.Source != "issuer" || one.Restored || one.LastError != "" || !one.NextFetch.After(time.Now()) {
		t.Errorf("%+v", one)
	}
	if !one.Endpoints.Known || one.Endpoints.Token != issuer.URL+"/token" || one.Cache.Entries != 1 || one.Cache.Most != issuers.DefaultCache || one.Breaker.Open {
		t.Errorf("%+v", one)
	}
	status, body := adminIssuers(t, http.MethodPost, "/oauth/issuers/fetch?issuer="+issuer.URL)
	if status != 200 || !strings.Contains(body, issuer.URL) {
		t.Errorf("fetching: %d %s", status, body)
	}
	if again := stateOfIssuer(t, issuer.URL); !again.Fetched.After(one.Fetched) || !again.Keys[0].Since.Equal(one.Keys[0].Since) {
		t.Errorf("after a fetch: %+v", again)
	}
	if status, body = adminIssuers(t, http.MethodPost, "/oauth/issuers/fetch?issuer="+issuer.URL); status != 429 || !strings.Contains(body, "just now") {
		t.Errorf("fetching again at once: %d %s", status, body)
	}
	_, all := adminIssuers(t, http.MethodGet, "/oauth/status")
	g.hides([]string{tok.AccessToken[4:24], "refresh-token-of-the-issuer", "the-gateways-own-secret"}, all)
}

func TestAWrongRequestAboutIssuersSaysWhatIsWrong(t *testing.T) {
	for _, row := range []struct {
		method, target string
		status         int
		words          string
	}{
		{"POST", "/oauth/issuers", 405, "GET"},
		{"DELETE", "/oauth/status", 405, "GET"},
		{"GET", "/oauth/issuers/fetch?issuer=x", 405, "POST"},
		{"POST", "/oauth/issuers/fetch", 400, "name the issuer"},
		{"POST", "/oauth/issuers/fetch?issuer=https://nobody.example", 404, "to the letter"},
	} {
		if status, body := adminIssuers(t, row.method, row.target); status != row.status || !strings.Contains(body, row.words) {
			t.Errorf("%s %s: %d %s", row.method, row.target, status, body)
		}
	}
}

func TestAFetchThatFailsIsToldWithItsReason(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	g.wants(map[string]int{g.token("orders").AccessToken: 200})
	issuer.Close()
	status, body := adminIssuers(t, http.MethodPost, "/oauth/issuers/fetch?issuer="+issuer.URL)
	if status != 502 || !strings.Contains(body, issuer.URL) || !strings.Contains(body, "refused") {
		t.Errorf("%d %s", status, body)
	}
	if one := stateOfIssuer(t, issuer.URL); one.LastError == "" || len(one.Keys) != 1 || one.Restored {
		t.Errorf("%+v", one)
	}
}
