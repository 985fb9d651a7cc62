package caddyoauth

import (
	"fmt"
	"net/http"
	"testing"
)

// namesake is a site with the same store, whose issuer has the name of s's, the
// same client, and is another server.
func (s *portal) namesake() *portal {
	s.Helper()
	issuer := newGrantor(s.TB, func(m map[string]any) {
		m["authorization_endpoint"] = m["issuer"].(string) + "/authorize?tenant=1"
		m["issuer"] = s.issuer.URL
	})
	other := &portal{issuer: issuer, claims: map[string]any{"iss": s.issuer.URL}}
	other.gate = rawGate(s.TB, fmt.Sprintf(`oauth {
		issuer %s {
			audience api
			client gateway the-gateways-own-secret
			metadata %s/.well-known/oauth-authorization-server
		}
		login
	}`, s.issuer.URL, issuer.URL), &issuer.clock)
	other.tokens = map[string]any{"access_token": issuer.access("alice", map[string]any{"iss": s.issuer.URL})}
	issuer.reply(other.token)
	return other
}

// Another site may name the same issuer and mean another server: who is alice
// there is not who is alice here, and it logs no user out here.
func TestAServerOfTheSameNameSeesAndEndsNoSessionOfAnother(t *testing.T) {
	s := newPortal(t, "", nil)
	b, other := s.browser().logIn(), s.namesake()
	theirs := other.browser()
	if res := theirs.back(theirs.begin("/"), "iss", s.issuer.URL); res.Code != http.StatusSeeOther {
		t.Fatalf("not logged in there: %d; log: %s", res.Code, other.logged())
	}
	page := theirs.do("GET", "/_oauth/sessions", navigation...)
	if all := sref.FindAllString(page.Body.String(), -1); page.Code != http.StatusOK || len(all) != 1 {
		t.Errorf("%d sessions are shown there, want the one: %d %s", len(all), page.Code, page.Body)
	}
	for name, claims := range map[string]map[string]any{
		"the user": {"sub": "alice"}, "the session": {"sub": "alice", "sid": "sid-1"},
	} {
		claims["iss"] = s.issuer.URL
		if code := other.logout("logout+jwt", claims); code != http.StatusOK {
			t.Errorf("log-out of %s there: %d; log: %s", name, code, other.logged())
		}
		if b.status() != http.StatusOK {
			t.Errorf("a log-out of %s there has ended the session here", name)
		}
	}
	if theirs.status() != http.StatusUnauthorized {
		t.Error("nor has it ended the one there")
	}
	if code := s.logout("logout+jwt", map[string]any{"sub": "alice"}); code != http.StatusOK || b.status() != http.StatusUnauthorized {
		t.Errorf("the own issuer's log-out: %d", code)
	}
}

// The page shows a hundred sessions, and "all" is about all.
func TestWhoEndsAllSessionsEndsThoseTooThatThePageDoesNotShow(t *testing.T) {
	s := newPortal(t, "", nil)
	first := s.browser().logIn()
	for range 99 {
		s.browser().logIn()
	}
	last := s.browser().logIn()
	last.want("all", last.send("POST", "/_oauth/sessions", "end=all", here...), 200, "You are logged out")
	if first.status() != http.StatusUnauthorized {
		t.Error("a session that the page has no room for goes on")
	}
}
