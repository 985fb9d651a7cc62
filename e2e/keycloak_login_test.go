package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// keycloakLogin is what stands in a site where people of Keycloak log in.
func keycloakLogin(r *realm, client, more string) string {
	return fmt.Sprintf(`oauth {
		issuer %s {
			audience orders
			client %s %s-secret
		}
		login {
			post_logout /_oauth/logged_out
		}
		session {
			store memory
		}
		copy_claims sub>X-User-Id preferred_username>X-User-Name
		%s
	}`, r.url, client, client, more)
}

// keycloakSite is a gateway for people, with a client of its own at Keycloak.
func keycloakSite(t *testing.T, r *realm, client string, attributes map[string]string, more string) *gateway {
	t.Helper()
	g := newGateway(t)
	r.client(client, g.url(""), attributes)
	g.serve(g.site(g.port, keycloakLogin(r, client, more), startUpstream(t)))
	return g
}

// wantBack checks that a log-in led back, and to whom.
func wantBack(t *testing.T, a answer, at *url.URL, address, name string) seen {
	t.Helper()
	if at.String() != address {
		t.Fatalf("the log-in led to %s, want %s: %d %.600s", at, address, a.status, a.body)
	}
	saw := a.seen(t)
	if got := saw.Header.Get("X-User-Name"); got != name {
		t.Errorf("the upstream saw %q, want %s", got, name)
	}
	return saw
}

func TestPeopleOfKeycloakLogInAndOut(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	g := keycloakSite(t, r, "site-in-and-out", nil, "")
	p := newKeycloakGuest(t)
	page, at := p.logIn(g.url("/orders?page=2"), "alice")
	saw := wantBack(t, page, at, g.url("/orders?page=2"), "alice")
	if strings.Contains(saw.Header.Get("Cookie"), sessionCookie) {
		t.Error("the upstream saw the session's cookie")
	}
	if a, at := p.ask(g.url("/_oauth/logout"), url.Values{}); at.String() != g.url("/_oauth/logged_out") || a.status != http.StatusOK {
		t.Errorf("the log-out led to %s: %d %.600s", at, a.status, a.body)
	}
	if a, err := p.call(g.url("/")); err != nil || a.status != http.StatusUnauthorized {
		t.Errorf("after the log-out: %d %v", a.status, err)
	}
	// There, too: the next click asks for a password.
	page, at = p.logIn(g.url("/again"), "bob")
	wantBack(t, page, at, g.url("/again"), "bob")
	if claims := r.introspect(saw.token()); claims["active"] != false {
		t.Errorf("after the log-out Keycloak says of the access token: %v", claims)
	}
}

func TestAnAdministratorsLogOutAtKeycloakEndsTheSessionHere(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	g := keycloakSite(t, r, "site-back-channel", nil, "")
	p, other := newKeycloakGuest(t), newKeycloakGuest(t)
	page, at := p.logIn(g.url("/"), "alice")
	saw := wantBack(t, page, at, g.url("/"), "alice")
	page, at = other.logIn(g.url("/"), "alice")
	wantBack(t, page, at, g.url("/"), "alice")
	_, claims := tokenParts(t, saw.token())
	r.admin(http.MethodDelete, fmt.Sprintf("/main/sessions/%v", claims["sid"]), nil, nil)
	await(t, 10*time.Second, "the end of the session", func() bool {
		a, err := p.call(g.url("/"))
		return err == nil && a.status == http.StatusUnauthorized
	})
	other.served(g.url("/")) // another browser's session is another one
}

func TestTwoTabsAtKeycloakBothComeBack(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	g := keycloakSite(t, r, "site-two-tabs", nil, "")
	p := newKeycloakGuest(t)
	late, lateAt := p.ask(g.url("/late?tab=2"), nil)
	page, at := p.logIn(g.url("/first?tab=1"), "alice")
	wantBack(t, page, at, g.url("/first?tab=1"), "alice")
	// The other tab still shows the form. Keycloak sends it back with
	// error=temporarily_unavailable, or finishes the log-in that it had begun.
	page, at = p.submit(late, lateAt, url.Values{"username": {"alice"}, "password": {"alice-password"}, "credentialId": {""}})
	wantBack(t, page, at, g.url("/late?tab=2"), "alice")
}

// shortLived are the attributes of a client whose access tokens live for seconds.
var shortLived = map[string]string{"access.token.lifespan": "6"}

func TestFiftyRequestsAtOnceRefreshAtKeycloakOnceAndTheFamilyLives(t *testing.T) {
	t.Parallel()
	r, w := keycloakRealm(t).wired()
	g := keycloakSite(t, r, "site-fifty", shortLived, "")
	p := newKeycloakGuest(t)
	page, at := p.logIn(g.url("/"), "alice")
	tokens := map[string]bool{wantBack(t, page, at, g.url("/"), "alice").token(): true}
	var mu sync.Mutex
	await(t, 30*time.Second, "two refreshes", func() bool {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				a, err := p.call(g.url("/"))
				mu.Lock()
				defer mu.Unlock()
				if err != nil || a.status != http.StatusOK {
					t.Errorf("one of fifty: %d %s %v", a.status, a.body, err)
					return
				}
				tokens[a.seen(t).token()] = true
			})
		}
		all.Wait()
		return len(tokens) > 2 || t.Failed()
	})
	presented := w.all()
	slices.Sort(presented)
	if unique := slices.Compact(slices.Clone(presented)); len(unique) != len(presented) || len(presented) != len(tokens)-1 {
		t.Errorf("%d refresh tokens presented, %d of them different, for %d access tokens", len(presented), len(unique), len(tokens))
	}
}

// With Revoke Refresh Token, Keycloak ends the grant when a used one comes again.
func TestAUsedRefreshTokenThatComesAgainEndsTheSessionAtKeycloakAndHere(t *testing.T) {
	t.Parallel()
	r, w := keycloakRealm(t).wired()
	g := keycloakSite(t, r, "site-reuse", shortLived, "")
	p := newKeycloakGuest(t)
	page, at := p.logIn(g.url("/"), "alice")
	first := wantBack(t, page, at, g.url("/"), "alice").token()
	await(t, 10*time.Second, "a refresh", func() bool { return p.served(g.url("/")).token() != first })
	thief := r.post("token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": w.all()[:1], "client_id": {"site-reuse"}, "client_secret": {"site-reuse-secret"}})
	if said := thief.reply(t); thief.status != http.StatusBadRequest || said.Error != "invalid_grant" {
		t.Errorf("Keycloak answers a used refresh token with %d %s", thief.status, thief.body)
	}
	await(t, 15*time.Second, "the end of the session", func() bool {
		a, err := p.call(g.url("/"))
		if err != nil || a.status != http.StatusOK && a.status != http.StatusUnauthorized {
			t.Fatalf("a grant that ended is no outage: %d %s %v", a.status, a.body, err)
		}
		return a.status == http.StatusUnauthorized
	})
	// Keycloak still knows the person: one click later there is a new session.
	page, at = p.ask(g.url("/again"), nil)
	wantBack(t, page, at, g.url("/again"), "alice")
}

// Two log-ins of a browser are one session at Keycloak: giving back the refresh
// token of the first ends that session, and the second's with it.
func TestASecondLogInOfABrowserLivesOnAtKeycloak(t *testing.T) {
	t.Parallel()
	r, w := keycloakRealm(t).wired()
	g := keycloakSite(t, r, "site-twice", shortLived, "")
	p := newKeycloakGuest(t)
	page, at := p.logIn(g.url("/one"), "alice")
	wantBack(t, page, at, g.url("/one"), "alice")
	page, at = p.ask(g.url("/_oauth/login?return=/two"), nil) // Keycloak knows the person, and asks nothing
	token := wantBack(t, page, at, g.url("/two"), "alice").token()
	await(t, 15*time.Second, "a refresh", func() bool { return p.served(g.url("/")).token() != token })
	if n := len(w.all()); n != 1 {
		t.Errorf("%d refresh tokens presented, want one", n)
	}
}
