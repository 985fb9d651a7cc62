package caddyoauth

import (
	"net/http"
	"strings"
	"testing"
)

// A site had moved to another issuer, while a second one, with the same store,
// still knew the first: its users got 401 for each click until they deleted the
// cookie themselves.
func TestASessionOfAnIssuerThatIsNotOfThisSiteIsNone(t *testing.T) {
	old := newPortal(t, "", nil)
	b := old.browser().logIn()
	site := newPortal(t, "", nil)
	moved := &tab{site, b.cookies}
	if asked := moved.begin("/orders"); asked.Get("state") == "" {
		t.Error("nobody is sent to the new issuer")
	}
	if _, there := moved.cookies["__Host-oauth"]; there {
		t.Error("the cookie of the old one stays")
	}
	stale := &tab{site, map[string]string{"__Host-oauth": old.browser().logIn().cookies["__Host-oauth"]}}
	if res := stale.do(http.MethodGet, "/orders"); res.Code != http.StatusUnauthorized || len(stale.cookies) != 0 {
		t.Errorf("a script: %d, and the cookies %v", res.Code, stale.cookies)
	}
}

// The ID token of a session is shown to no one but the issuer that it is of.
func TestALogOutLeadsToTheIssuerOfTheSession(t *testing.T) {
	old := newPortal(t, "", nil)
	b := old.browser().logIn()
	site := newPortal(t, "", nil)
	moved := &tab{site, b.cookies}
	res := moved.do("POST", "/_oauth/logout", here...)
	if at := res.Header().Get("Location"); !strings.HasPrefix(at, old.issuer.URL+"/end?") || !strings.Contains(at, "id_token_hint=") {
		t.Errorf("%d %s", res.Code, at)
	}
	b = old.browser().logIn()
	_ = old.Gateway.Cleanup()
	moved = &tab{site, b.cookies}
	site.browser().logIn() // so that it knows its issuer
	res = moved.do("POST", "/_oauth/logout", here...)
	if at := res.Header().Get("Location"); !strings.HasPrefix(at, site.issuer.URL+"/end?") || strings.Contains(at, "id_token_hint=") {
		t.Errorf("with that issuer configured nowhere: %d %s", res.Code, at)
	}
}
