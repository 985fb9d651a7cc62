package caddyoauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// A client that acts for a user is not the user's browser. The two kinds of
// handle differ in their prefix alone, which its holder may change.
func TestAClientsTokenInTheCookieShowsAndEndsNoSession(t *testing.T) {
	s := portalWith(t, "login\n"+publicEndpoint, nil)
	user := s.browser().logIn()
	grant := s.issuer.grant
	s.issuer.reply(func(w http.ResponseWriter, q *asked) {
		if q.Form.Get("grant_type") != tokenrequest.AuthorizationCode {
			grant(w, q)
			return
		}
		_, _ = w.Write([]byte(`{"token_type":"Bearer","expires_in":300,"access_token":"` + s.issuer.access("alice") +
			`","refresh_token":"of-the-client","id_token":"` + s.issuer.idToken(t, "alice") + `"}`))
	})
	tok := s.answer(s.post("/auth", codeForm))
	s.issuer.take()
	app := s.browser()
	respelled := credential.SessionPrefix + strings.TrimPrefix(tok.AccessToken, credential.AccessPrefix)

	app.cookies["__Host-oauth"] = respelled
	app.want("the page", app.do("GET", "/_oauth/sessions"), 401, "You are not logged in")
	app.cookies["__Host-oauth"] = respelled
	app.send("POST", "/_oauth/sessions", url.Values{"end": {"all"}}.Encode(), here...)
	if code := user.status(); code != http.StatusOK {
		t.Errorf("the user's browser gets %d after a client wanted to end it", code)
	}
	app.cookies["__Host-oauth"] = respelled
	app.do("POST", "/_oauth/logout", here...)
	if status, _ := s.get(tok.AccessToken); status != http.StatusOK || s.issuer.count() > 0 {
		t.Errorf("a log-out has ended what is no session: %d", status)
	}
}

func TestABrowsersHandleIsNothingToEndOrRefreshAtTheTokenEndpoint(t *testing.T) {
	s := portalWith(t, "login\n"+strings.Replace(publicEndpoint, "app tv", "app gateway", 1), nil)
	b := s.browser().logIn()
	handle := b.cookies["__Host-oauth"]
	for name, token := range map[string]string{
		"as it is": handle, "as a reference token": credential.AccessPrefix + strings.TrimPrefix(handle, credential.SessionPrefix),
		"as a reference refresh token": credential.RefreshPrefix + strings.TrimPrefix(handle, credential.SessionPrefix),
	} {
		for _, client := range []string{"app", "gateway"} {
			s.address = nextAddress()
			if res := s.post("/revoke", "client_id="+client+"&token="+token); res.Code != http.StatusOK {
				t.Errorf("%s, by %s: %d, want the answer to a token that means nothing", name, client, res.Code)
			}
			s.refused(name, s.post("/auth", "grant_type=refresh_token&client_id="+client+"&refresh_token="+token), "400 invalid_grant")
		}
	}
	if code := b.status(); code != http.StatusOK {
		t.Errorf("the session has ended: %d", code)
	}
	s.hides([]string{handle[len(credential.SessionPrefix):]})
}
