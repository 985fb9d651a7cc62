package caddyoauth

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
)

func TestABrowserSessionWithOpaqueTokensIsAskedAbout(t *testing.T) {
	issuer := newGrantor(t, func(m map[string]any) {
		m["authorization_endpoint"] = m["issuer"].(string) + "/authorize?tenant=1"
		m["end_session_endpoint"] = m["issuer"].(string) + "/end"
	})
	s := &portal{gate: newAsker(t, issuer, "", "login\n"+endpoint), issuer: issuer, tokens: map[string]any{"access_token": "good-of-login"}}
	revoked := false
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		switch {
		case q.Path != "/introspect":
			s.token(w, q)
		case revoked:
			_, _ = w.Write([]byte(`{"active":false}`))
		default:
			issuer.knows(w, q)
		}
	})
	b := s.browser().logIn()
	if status := b.status(); status != http.StatusOK {
		t.Fatalf("%d with a session; log: %s", status, s.logged())
	}
	revoked = true
	s.clock.ahead.Add(int64(introspection.LongestCache))
	if status := b.status(); status != http.StatusUnauthorized {
		t.Errorf("%d when the issuer has revoked its token", status)
	}
}

// Two issuers in one directive: browsers log in at the first, and the second is
// asked about opaque tokens. It must not learn those of the first.
func TestTheOpaqueTokenOfALogInIsShownToItsIssuerAlone(t *testing.T) {
	asking := newKnower(t)
	s := portalWith(t, fmt.Sprintf(`issuer %s {
		audience api
		introspect
		client gateway the-gateways-own-secret
	}
	login
	%s`, asking.URL, endpoint), nil)
	s.tokens = map[string]any{"access_token": "good-of-login"}
	b := s.browser()
	b.want("a log-in with an opaque token of an issuer that is not asked", b.back(b.begin("/orders")), http.StatusForbidden, "")
	if all := asking.take(); len(all) > 0 {
		t.Errorf("the other issuer was asked %+v", all)
	}
}
