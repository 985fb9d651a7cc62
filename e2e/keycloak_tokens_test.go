package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// keycloakTokens is what stands in a site whose clients need not refresh.
func keycloakTokens(r *realm, client string) string {
	return fmt.Sprintf(`oauth {
		issuer %s {
			audience orders
			client %s %s-secret
		}
		session {
			store memory
		}
		token_endpoint /token {
			grant_types client_credentials device_code
			public_clients phone
			revocation_endpoint /revoke
			device_authorization_endpoint /device
		}
		copy_claims sub>X-User-Id preferred_username>X-User-Name
	}`, r.url, client, client)
}

// byDevice gets a reference token: the gateway asks Keycloak for a code, a person
// confirms it there, and the device asks until it has its token.
func byDevice(t *testing.T, g *gateway, name string) (reference string) {
	t.Helper()
	a, err := postForm(g.url("/device"), url.Values{"client_id": {"phone"}})
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("the device authorization endpoint: %d %s %v", a.status, a.body, err)
	}
	said := a.reply(t)
	to := jsonText(t, a.body, "verification_uri_complete")
	form := url.Values{"grant_type": {deviceGrant}, "device_code": {said.DeviceCode}, "client_id": {"phone"}}
	if a, err := postForm(g.url("/token"), form); err != nil || a.reply(t).Error != "authorization_pending" {
		t.Errorf("before the person has confirmed: %d %s %v", a.status, a.body, err)
	}
	p := newKeycloakGuest(t)
	page, at := p.logIn(to, name)
	page, at = p.submit(page, at, url.Values{"accept": {"Yes"}})
	if !strings.Contains(page.body, "Device Login Successful") {
		t.Fatalf("Keycloak does not confirm the device at %s: %d %.900s", at, page.status, page.body)
	}
	await(t, 30*time.Second, "the device's token", func() bool {
		a, err := postForm(g.url("/token"), form)
		if err != nil {
			t.Fatal(err)
		}
		got := a.reply(t)
		// A Keycloak that is slow for once is asked again, too (RFC 8628 §3.5).
		if !slices.Contains([]string{"", "authorization_pending", "slow_down", "temporarily_unavailable"}, got.Error) {
			t.Fatalf("the token endpoint: %d %s", a.status, a.body)
		}
		reference = got.AccessToken
		if reference == "" {
			time.Sleep(time.Second) // the interval that a device has to keep
		}
		return reference != ""
	})
	return reference
}

func TestADeviceLogsInAtKeycloakThroughTheGatewayAndItsTokenCanBeRevoked(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	g := newGateway(t)
	r.client("site-device", g.url(""), nil)
	g.serve(g.site(g.port, keycloakTokens(r, "site-device"), startUpstream(t)))
	reference := byDevice(t, g, "bob")
	saw := get(t, g.url("/orders"), reference).seen(t)
	if saw.Header.Get("X-User-Name") != "bob" || saw.token() == reference || strings.Count(saw.token(), ".") != 2 {
		t.Errorf("the upstream saw %q with the token %.10s…", saw.Header.Get("X-User-Name"), saw.token())
	}
	if claims := r.introspect(saw.token()); claims["active"] != true {
		t.Errorf("Keycloak says of the access token behind it: %v", claims)
	}
	if a, err := postForm(g.url("/revoke"), url.Values{"client_id": {"phone"}, "token": {reference}}); err != nil || a.status != http.StatusOK {
		t.Errorf("revocation: %d %s %v", a.status, a.body, err)
	}
	get(t, g.url("/orders"), reference).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	await(t, 10*time.Second, "the end of the grant at Keycloak", func() bool { return r.introspect(saw.token())["active"] == false })
}

func TestAClientOfKeycloakGetsItsTokenAtTheGateway(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	g := startGateway(t, startUpstream(t), keycloakTokens(r, "orders"))
	a, err := postForm(g.url("/token"), url.Values{"grant_type": {"client_credentials"}, "client_id": {"robot"}, "client_secret": {"robot-secret"}})
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("the token endpoint: %d %s %v", a.status, a.body, err)
	}
	get(t, g.url("/"), a.reply(t).AccessToken).seen(t)
	// Its token would not pass: it is told at once, with what to set at Keycloak in the log.
	a, err = postForm(g.url("/token"), url.Values{"grant_type": {"client_credentials"}, "client_id": {"stranger"}, "client_secret": {"stranger-secret"}})
	if err != nil || a.status == http.StatusOK {
		t.Errorf("a client without the Audience mapper: %d %s %v", a.status, a.body, err)
	}
	await(t, 5*time.Second, "a log line that names the setting", func() bool {
		return strings.Contains(g.proc.out.String(), "add an Audience mapper")
	})
}
