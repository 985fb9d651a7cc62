package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// oidc-provider writes the e-mail address into ID tokens, and not into access
// tokens for an API.
func TestClaimsOfTheIDTokenCountForASessionAndAreRefreshedWithIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{
		env: "EMAIL=1", alone: true, login: "scope email\n\t\t\tclaims id_token",
		oauth: "require /mine/* claim email alice@example.com\n\t\trequire /moved/* claim email alice@example.org",
	})
	s := r.browse()
	first := r.tap.lastIssued(t)
	want := func(when string, mine, moved int) {
		t.Helper()
		for path, status := range map[string]int{"/mine/x": mine, "/moved/x": moved} {
			if a, err := r.tryGetAt(path, s); err != nil || a.status != status {
				t.Errorf("%s: %s answers %d, want %d; %v", when, path, a.status, status, err)
			}
		}
	}
	want("after the log-in", http.StatusOK, http.StatusForbidden)
	if a, err := r.tryGetAt("/mine/x", session{access: first.token}); err != nil || a.status != http.StatusForbidden {
		t.Errorf("a client with the session's access token gets %d, %v", a.status, err)
	}
	r.control("mail", "host", "example.org")
	want("before a refresh", http.StatusOK, http.StatusForbidden)
	r.awaitDeath(first)
	want("after a refresh", http.StatusForbidden, http.StatusOK)
}

// Nor does it take an access token that is for an API at its userinfo endpoint:
// that is said when a user logs in, and not on every page.
func TestAUserInfoEndpointThatDoesNotTakeTokensForAnAPIIsSaidAtTheLogIn(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{env: "EMAIL=1", alone: true, login: "scope email\n\t\t\tclaims userinfo"})
	sent := r.navigate("/orders", session{})
	sent.wantLogin(t, r)
	back := r.followTo(sent.header.Get("Location"), r.g.url("/_oauth/callback"))
	req, err := http.NewRequest(http.MethodGet, back.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	asNavigation(req)
	for _, c := range sent.cookies() {
		req.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	a, err := send(r.client, req)
	if err != nil || a.status != http.StatusForbidden || !strings.Contains(a.body, "did not tell who you are") {
		t.Errorf("%d %s, %v", a.status, a.body, err)
	}
	await(t, 10*time.Second, "the log to say what to do", func() bool {
		return len(r.g.logLines(func(line map[string]any) bool {
			detail, _ := line["detail"].(string)
			return strings.Contains(detail, "claims id_token instead of userinfo")
		})) == 1
	})
}
