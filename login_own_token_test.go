package caddyoauth

import (
	"net/http"
	"testing"
)

// authentik makes access tokens of ID tokens, older versions of Keycloak wrote the
// nonce into them, and Dex has ID tokens alone. Such a token of a log-in of our own
// has come straight from the issuer, for us.
func TestALogInsOwnAccessTokenMayBeMarkedAsAnIDToken(t *testing.T) {
	for name, marks := range map[string]map[string]any{
		"the nonce": {"nonce": "…"}, "a hash": {"at_hash": "abc", "c_hash": "def"}, "Keycloak's typ": {"typ": "ID"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newPortal(t, "", nil)
			b := s.browser()
			asked := b.begin("/orders")
			if marks["nonce"] != nil {
				marks["nonce"] = asked.Get("nonce")
			}
			access := s.issuer.access("alice", marks)
			s.tokens = map[string]any{"access_token": access}
			if res := b.back(asked); res.Code != http.StatusSeeOther {
				t.Fatal(res.Code, s.logged())
			}
			for _, when := range []string{"before", "after a client has brought it"} {
				if code := b.status(); code != http.StatusOK {
					t.Errorf("the session gets %d %s; log: %s", code, when, s.logged())
				}
				// Whether it is remembered or not.
				if status, _ := s.get(access); status != http.StatusUnauthorized {
					t.Errorf("a client gets %d with the same token, %s", status, when)
				}
			}
			s.issuer.take()
		})
	}
}

func TestTheNonceOfAnotherLogInInTheAccessTokenIsNoLogIn(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser()
	asked := b.begin("/orders")
	s.tokens = map[string]any{"access_token": s.issuer.access("alice", map[string]any{"nonce": "of-another-app"})}
	b.want("another nonce", b.back(asked), http.StatusForbidden, "not meant for this site")
	s.tokens = map[string]any{"access_token": s.issuer.access("alice", map[string]any{"events": map[string]any{}})}
	b.want("a logout token", b.back(b.begin("/orders")), http.StatusForbidden, "not meant for this site")
	s.tokens = map[string]any{"access_token": s.issuer.access("alice", map[string]any{"typ": "Refresh"})}
	b.want("a refresh token", b.back(b.begin("/orders")), http.StatusForbidden, "not meant for this site")
}

// What an issuer says of an opaque token of a log-in may be marked too.
func TestTheAnswerAboutALogInsOwnOpaqueTokenMayBeMarkedAsAnIDToken(t *testing.T) {
	for name, mark := range map[string]func(nonce string) string{
		"the nonce": func(nonce string) string { return `"nonce":"` + nonce + `"` }, "its use": func(string) string { return `"token_use":"id"` },
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newGrantor(t, func(m map[string]any) {
				m["authorization_endpoint"] = m["issuer"].(string) + "/authorize?tenant=1"
			})
			s := &portal{gate: newAsker(t, issuer, "", "login\n"+endpoint), issuer: issuer, tokens: map[string]any{"access_token": "good-of-login"}}
			var nonce string
			issuer.reply(func(w http.ResponseWriter, q *asked) {
				if q.Path != "/introspect" {
					s.token(w, q)
					return
				}
				_, _ = w.Write([]byte(`{"active":true,"sub":"alice","aud":"api","token_type":"Bearer",` + mark(nonce) + `}`))
			})
			b := s.browser()
			asked := b.begin("/orders")
			nonce = asked.Get("nonce")
			if res := b.back(asked); res.Code != http.StatusSeeOther {
				t.Fatal(res.Code, s.logged())
			}
			for range 2 {
				if code := b.status(); code != http.StatusOK {
					t.Errorf("the session gets %d; log: %s", code, s.logged())
				}
				if status, _ := s.get("good-of-login"); status != http.StatusUnauthorized {
					t.Errorf("a client gets %d with the same token", status)
				}
			}
		})
	}
}
