package caddyoauth

import (
	"net/http"
	"strings"
	"testing"
)

const fewGrants = `session {
	store memory
	grants_per_client 2
	grants_per_subject 2
}
`

func TestAClientWithTooManyLiveGrantsIsToldAndKeepsThem(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint+"\n"+fewGrants)
	first, second := g.token("orders"), g.token("orders")
	res := g.post("/auth", "grant_type=client_credentials", basic("orders", "s")...)
	g.refused("a third", res, "429 temporarily_unavailable")
	g.retryHeader("a third", res, 60, 60)
	if n := measured(t)["caddy_oauth_grants_refused_total "+issuer.URL+" client"]; n != 1 {
		t.Errorf("counted %v", n)
	}
	if log := g.logged(); !strings.Contains(log, "this client has 2 live grants, as many as grants_per_client allows") {
		t.Errorf("the log does not say why: %s", log)
	}
	for _, tok := range []tokenAnswer{first, second} {
		if status, _ := g.get(tok.AccessToken); status != http.StatusOK {
			t.Errorf("one of before gets %d", status)
		}
	}
	g.token("billing")
	if res := g.post("/revoke", "token="+first.AccessToken, basic("orders", "orders-secret")...); res.Code != http.StatusOK {
		t.Fatal(res.Code)
	}
	g.token("orders")
}

func TestAUserWhoIsLoggedInTooOftenGetsAPageAndKeepsTheSessions(t *testing.T) {
	s := portalWith(t, "login\n"+endpoint+"\n"+fewGrants, nil)
	first, second := s.browser().logIn(), s.browser().logIn()
	b := s.browser()
	asked := b.begin("/")
	s.issuer.take()
	res := b.back(asked)
	b.want("a third browser", res, http.StatusTooManyRequests, "You are logged in too often")
	if res.Header().Get("Retry-After") != "60" || b.cookies["__Host-oauth"] != "" {
		t.Errorf("%v %v", res.Header(), b.cookies)
	}
	returned := false
	for _, q := range s.issuer.take() {
		returned = returned || q.Path == "/revoke"
	}
	if !returned {
		t.Error("what the issuer granted is not given back")
	}
	if log := s.logged(); !strings.Contains(log, "as many as grants_per_subject allows") {
		t.Errorf("the log does not say why: %s", log)
	}
	if first.status() != 200 || second.status() != 200 {
		t.Error("a session of before is gone")
	}
	first.do("POST", "/_oauth/logout", here...)
	s.browser().logIn()
}

// A log-in ends the session that its browser had, so it takes no more room: who
// has as many as allowed could not step up.
func TestWhoHasAsManySessionsAsAllowedLogsInAgainInTheSameBrowser(t *testing.T) {
	s := portalWith(t, "login\n"+endpoint+"\n"+fewGrants, nil)
	first, second := s.browser().logIn(), s.browser().logIn()
	before := second.cookies["__Host-oauth"]
	for range 3 {
		if res := second.back(second.begin("/_oauth/login")); res.Code != http.StatusSeeOther {
			t.Fatalf("%d; log: %s", res.Code, s.logged())
		}
	}
	if second.cookies["__Host-oauth"] == before || first.status() != 200 || second.status() != 200 {
		t.Error("not logged in anew")
	}
	second.cookies["__Host-oauth"] = before // it has ended, and makes no room
	second.want("with a session that has ended", second.back(second.begin("/_oauth/login")), http.StatusTooManyRequests, "You are logged in too often")
}
