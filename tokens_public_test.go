package caddyoauth

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/limits"
)

const publicEndpoint = `token_endpoint /auth {
	grant_types client_credentials refresh_token authorization_code device_code
	public_clients app tv
	revocation_endpoint /revoke
	device_authorization_endpoint /device
}`

const (
	codeForm   = "grant_type=authorization_code&client_id=app&code=the-code&code_verifier=the-verifier&redirect_uri=https%3A%2F%2Fapp.example%2Fcb"
	deviceForm = "grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id=tv&device_code=the-device-code"
)

func TestAPublicClientsRequestThatIsNotItsOwnIsRefusedAndNothingAsked(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	for _, row := range []struct{ name, path, form, id, secret, want string }{
		{"no client", "/auth", strings.Replace(codeForm, "&client_id=app", "", 1), "", "", "401 invalid_client"},
		{"not listed", "/auth", strings.Replace(codeForm, "app", "other", 1), "", "", "401 invalid_client"},
		{"part of a listed one", "/auth", strings.Replace(codeForm, "=app", "=ap", 1), "", "", "401 invalid_client"},
		{"the gateway's id", "/auth", strings.Replace(codeForm, "=app", "=gateway", 1), "", "", "401 invalid_client"},
		{"the gateway's credentials", "/auth", strings.Replace(codeForm, "&client_id=app", "", 1), "gateway", "the-gateways-own-secret", "401 invalid_client"},
		{"listed, with a posted secret", "/auth", codeForm + "&client_secret=s", "", "", "401 invalid_client"},
		{"listed, with Basic", "/auth", codeForm, "app", "s", "401 invalid_client"},
		{"no code_verifier", "/auth", strings.Replace(codeForm, "&code_verifier=the-verifier", "", 1), "", "", "400 invalid_request"},
		{"an empty code_verifier", "/auth", strings.Replace(codeForm, "the-verifier", "", 1), "", "", "400 invalid_request"},
		{"no code", "/auth", strings.Replace(codeForm, "&code=the-code", "", 1), "", "", "400 invalid_request"},
		{"no device_code", "/auth", strings.Replace(deviceForm, "&device_code=the-device-code", "", 1), "", "", "400 invalid_request"},
		{"a device not listed", "/auth", strings.Replace(deviceForm, "=tv", "=radio", 1), "", "", "401 invalid_client"},
		{"client_credentials of a public client", "/auth", "grant_type=client_credentials&client_id=app", "", "", "401 invalid_client"},
		{"beginning with no client", "/device", "scope=a", "", "", "401 invalid_client"},
		{"beginning as another", "/device", "client_id=radio", "", "", "401 invalid_client"},
		{"beginning with a secret", "/device", "client_id=tv&client_secret=s", "", "", "401 invalid_client"},
	} {
		var headers []string
		if row.id != "" {
			headers = basic(row.id, row.secret)
		}
		g.refused(row.name, g.post(row.path, row.form, headers...), row.want)
		if asked := issuer.take(); len(asked) > 0 {
			t.Errorf("%s: the issuer was asked: %v", row.name, asked)
		}
		g.hides([]string{"the-code", "the-verifier", "the-device-code"})
	}
}

func TestTheGatewayStandsForPublicClientsWithItsOwnCredentials(t *testing.T) {
	for _, row := range []struct{ form, only string }{
		{codeForm + "&scope=admin&resource=https%3A%2F%2Fx.example&foo=bar", "code code_verifier grant_type redirect_uri"},
		{deviceForm + "&scope=admin", "device_code grant_type"},
	} {
		issuer := newGrantor(t, nil)
		g := newGate(t, issuer, publicEndpoint)
		tok := g.answer(g.post("/auth", row.form))
		asked := issuer.take()
		if len(asked) != 1 || !asked[0].Basic || asked[0].ID != "gateway" || asked[0].Password != "the-gateways-own-secret" || asked[0].only() != row.only {
			t.Errorf("asked %v", asked)
		}
		status, upstream := g.get(tok.AccessToken)
		if status != 200 || !strings.HasPrefix(upstream, "Bearer ey") {
			t.Errorf("%d, the upstream got %q", status, upstream)
		}
		if !strings.HasPrefix(tok.RefreshToken, credential.RefreshPrefix) {
			t.Errorf("no reference refresh token: %q", tok.RefreshToken)
		}
		g.skip(accessLife)
		if status, _ := g.get(tok.AccessToken); status != 200 {
			t.Error("after the access token ran out: ", status)
		}
		again := issuer.take()
		if len(again) != 1 || again[0].ID != "gateway" || again[0].only() != "grant_type refresh_token" || !strings.HasPrefix(again[0].Form.Get("refresh_token"), "refresh-token-of-the-issuer-") {
			t.Errorf("renewed with %v", again)
		}
		g.hides([]string{"the-code", "the-verifier", "the-device-code", "refresh-token-of-the-issuer", "the-gateways-own-secret", tok.AccessToken[:20], tok.RefreshToken[:20]})
	}
}

func TestADeviceBeginsThroughTheGateway(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	res := g.post("/device", "client_id=tv&scope=a&audience=api&foo=bar&grant_type=client_credentials")
	var answer map[string]any
	if err := json.Unmarshal(res.Body.Bytes(), &answer); err != nil || res.Code != 200 || answer["user_code"] != "WDJB-MJHT" {
		t.Fatal(res.Code, res.Body)
	}
	if h := res.Header(); h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "application/json" {
		t.Error(h)
	}
	asked := issuer.take()
	if len(asked) != 1 || asked[0].Path != "/device" || asked[0].only() != "audience scope" || asked[0].ID != "gateway" {
		t.Errorf("asked %v", asked)
	}
}

// A device asks every few seconds until its user has made up their mind: that
// is no failed attempt.
func TestADeviceThatWaitsForItsUserIsToldAndNotLockedOut(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	for _, code := range []string{"authorization_pending", "slow_down"} {
		issuer.says(http.StatusBadRequest, `{"error":"`+code+`"}`)
		for range limits.MostFailures + 2 {
			g.refused(code, g.post("/auth", deviceForm), "400 "+code)
		}
	}
	issuer.reply(nil)
	g.answer(g.post("/auth", deviceForm))
}

// A stranger who knows the id of a public client can have the gateway ask, with
// its own credentials. What an issuer calls a code that was made up is its own
// affair.
func TestEveryRefusalOfACodeCountsAsAnAttempt(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	for _, code := range []string{"invalid_grant", "expired_token", "access_denied", "invalid_request", "a_word_of_its_own"} {
		g.address = nextAddress()
		issuer.says(http.StatusBadRequest, `{"error":"`+code+`"}`)
		for range limits.MostFailures {
			g.refused(code, g.post("/auth", deviceForm), "400 "+code)
		}
		issuer.take()
		g.refused("after ten of "+code, g.post("/auth", deviceForm), "429 temporarily_unavailable")
		if n := issuer.count(); n > 0 {
			t.Errorf("%s: the issuer was asked %d times more", code, n)
		}
	}
}

// To begin costs a stranger nothing, and the issuer a row and a call.
func TestDevicesThatBeginAreBoundedAndThoseThatWaitGoOn(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	for range limits.MostFailures {
		if res := g.post("/device", "client_id=tv"); res.Code != http.StatusOK {
			t.Fatal(res.Code, res.Body)
		}
	}
	issuer.take()
	res := g.post("/device", "client_id=tv")
	g.refused("one more", res, "429 temporarily_unavailable")
	g.retryHeader("one more", res, 1, 60)
	if n := issuer.count(); n > 0 {
		t.Errorf("the issuer was asked %d times more", n)
	}
	g.answer(g.post("/auth", deviceForm))
	g.address = nextAddress()
	if res := g.post("/device", "client_id=tv"); res.Code != http.StatusOK {
		t.Errorf("from elsewhere: %d", res.Code)
	}
}

func TestAGrantWithoutARefreshTokenEndsWithItsAccessToken(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	issuer.reply(func(w http.ResponseWriter, _ *asked) {
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": issuer.access("alice"), "token_type": "bearer", "expires_in": "300"})
	})
	tok := g.answer(g.post("/auth", codeForm))
	if tok.RefreshToken != "" || tok.ExpiresIn > 300 || tok.ExpiresIn < 290 {
		t.Errorf("refresh token %q, expires in %d", tok.RefreshToken, tok.ExpiresIn)
	}
	if status, _ := g.get(tok.AccessToken); status != 200 {
		t.Error(status)
	}
	issuer.take()
	g.skip(accessLife)
	if status, _ := g.get(tok.AccessToken); status != 401 {
		t.Errorf("after its end: %d, want 401", status)
	}
	if n := issuer.count(); n != 0 {
		t.Errorf("asked %d times for a grant that cannot be renewed", n)
	}
}

func TestTheIDTokenIsPassedOnOnce(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	id := issuer.idToken(t, "alice")
	issuer.reply(func(w http.ResponseWriter, _ *asked) {
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": issuer.access("alice"), "refresh_token": "r1", "id_token": id})
	})
	tok := g.answer(g.post("/auth", codeForm))
	if tok.IDToken != id {
		t.Errorf("id_token %q", tok.IDToken)
	}
	next := g.answer(g.post("/auth", "grant_type=refresh_token&client_id=app&refresh_token="+tok.RefreshToken))
	if next.IDToken != "" || next.AccessToken != tok.AccessToken {
		t.Errorf("the refreshed answer: %+v", next)
	}
}

func TestAReferenceRefreshTokenBelongsToItsClient(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	app, orders := g.answer(g.post("/auth", codeForm)), g.token("orders")
	issuer.take()
	for _, row := range []struct{ name, form, id, secret, want string }{
		{"another public client", "client_id=tv&refresh_token=" + app.RefreshToken, "", "", "400 invalid_grant"},
		{"a confidential one", "refresh_token=" + app.RefreshToken, "orders", "orders-secret", "401 invalid_client"},
		{"nobody", "refresh_token=" + app.RefreshToken, "", "", "401 invalid_client"},
		{"a wrong secret", "refresh_token=" + orders.RefreshToken, "orders", "wrong", "401 invalid_client"},
		{"no secret", "client_id=orders&refresh_token=" + orders.RefreshToken, "", "", "401 invalid_client"},
		{"another id with the secret", "refresh_token=" + orders.RefreshToken, "billing", "orders-secret", "401 invalid_client"},
		{"the gateway", "refresh_token=" + orders.RefreshToken, "gateway", "the-gateways-own-secret", "401 invalid_client"},
		{"a public client with another's", "client_id=app&refresh_token=" + orders.RefreshToken, "", "", "401 invalid_client"},
	} {
		for _, path := range []string{"/auth", "/revoke"} {
			g.address = nextAddress()
			form := "grant_type=refresh_token&" + row.form
			if path == "/revoke" {
				form = strings.Replace(row.form, "refresh_token=", "token=", 1)
			}
			var headers []string
			if row.id != "" {
				headers = basic(row.id, row.secret)
			}
			g.refused(path+" "+row.name, g.post(path, form, headers...), row.want)
		}
	}
	if asked := issuer.take(); len(asked) > 0 {
		t.Errorf("asked %v", asked)
	}
	for _, tok := range []tokenAnswer{app, orders} {
		if status, _ := g.get(tok.AccessToken); status != 200 {
			t.Error("a stranger's request has ended a grant: ", status)
		}
	}
	g.answer(g.post("/auth", "grant_type=refresh_token&client_id=app&refresh_token="+app.RefreshToken))
	g.answer(g.post("/auth", "grant_type=refresh_token&refresh_token="+orders.RefreshToken, basic("orders", "orders-secret")...))
}
