package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// ssfReceiver makes a client that Keycloak tells of what happens to its users.
func (r *realm) ssfReceiver(id string) {
	r.t.Helper()
	r.admin(http.MethodPost, "/"+r.name+"/clients", map[string]any{
		"clientId": id, "secret": id + "-secret", "serviceAccountsEnabled": true, "standardFlowEnabled": false, "directAccessGrantsEnabled": true,
		"attributes": map[string]string{
			"ssf.enabled": "true", "ssf.defaultSubjects": "ALL", "ssf.minVerificationInterval": "1", "ssf.streamAudience": "https://" + id + ".example.com",
		},
		"defaultClientScopes": []string{"basic", "orders:read"}, "optionalClientScopes": []string{"ssf.manage", "ssf.read"},
	}, nil)
}

// person makes a user of this test.
func (r *realm) person(name string) (id string) {
	r.t.Helper()
	r.admin(http.MethodPost, "/"+r.name+"/users", map[string]any{
		"username": name, "enabled": true, "emailVerified": true, "email": name + "@example.com", "firstName": name, "lastName": "Signals",
		"credentials": []any{map[string]any{"type": "password", "value": name + "-password", "temporary": false}},
	}, nil)
	var found []struct{ ID string }
	r.admin(http.MethodGet, "/"+r.name+"/users?exact=true&username="+name, nil, &found)
	if len(found) != 1 {
		r.t.Fatalf("%d users %s", len(found), name)
	}
	return found[0].ID
}

// Keycloak 26.7 is a transmitter itself: JWTs stop counting when their sessions end
// there, and nobody is asked about them.
func TestKeycloakTellsOfSessionsThatEndAndTheirTokensStopCounting(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	const receiver = "signals-poll"
	r.ssfReceiver(receiver)
	carol := r.person("carol")
	g := newGateway(t)
	g.write(g.site(g.port, fmt.Sprintf(`oauth {
		issuer %s {
			audience orders
			client %s %[2]s-secret
			signals {
				audience https://%[2]s.example.com
				poll
				scope ssf.manage ssf.read
			}
		}
	}`, r.url, receiver), startUpstream(t)))
	if out, complaint, code := g.command("oauth", "signals", "create", "--config", g.config); code != 0 || !strings.Contains(out, "session-revoked") || !strings.Contains(out, "enabled") {
		t.Fatalf("making the stream: %d\n%s%s", code, out, complaint)
	}
	g.start()
	tokens := func() (access, refresh string) {
		said := r.post("token", url.Values{"grant_type": {"password"}, "client_id": {"phone"}, "username": {"carol"}, "password": {"carol-password"}, "scope": {"openid"}}).reply(t)
		if a := g.bearer(said.AccessToken); a.status != http.StatusOK {
			t.Fatalf("a fresh token: %d %s", a.status, a.body)
		}
		return said.AccessToken, said.RefreshToken
	}
	gone := func(what, token string) {
		t.Helper()
		began := time.Now()
		await(t, 10*time.Second, what, func() bool { return g.bearer(token).status == http.StatusUnauthorized })
		t.Logf("%s: after %s", what, time.Since(began).Round(time.Millisecond))
	}

	// One session of two ends: the other lives on.
	first, refresh := tokens()
	second, _ := tokens()
	if a := r.post("logout", url.Values{"client_id": {"phone"}, "refresh_token": {refresh}}); a.status/100 != 2 {
		t.Fatalf("the log-out: %d %s", a.status, a.body)
	}
	gone("the end of the session's token", first)
	if a := g.bearer(second); a.status != http.StatusOK {
		t.Errorf("the other session's token: %d %s", a.status, a.body)
	}

	// An administrator ends all sessions of the user: Keycloak calls the session "ALL".
	third, _ := tokens()
	r.admin(http.MethodPost, "/main/users/"+carol+"/logout", nil, nil)
	gone("the end of the second session's token", second)
	gone("the end of the third session's token", third)

	if out, complaint, code := g.command("oauth", "doctor", "--config", g.config, "--json"); !strings.Contains(out, "has the stream") {
		t.Errorf("the doctor: %d\n%s%s", code, out, complaint)
	}
}
