package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// keycloakAPI is what stands in a site for clients with tokens of Keycloak.
func keycloakAPI(r *realm, more string) string {
	return fmt.Sprintf(`oauth {
		issuer %s {
			audience orders
			client orders orders-secret
		}
		copy_claims sub>X-User-Id preferred_username>X-User-Name realm_access.roles>X-User-Roles
		%s
	}`, r.url, more)
}

func TestKeycloakTokensPassWithAnAudienceMapperAndNotWithout(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	g := startGateway(t, startUpstream(t), keycloakAPI(r, ""))
	if saw := get(t, g.url("/"), r.userToken("alice")).seen(t).Header; saw.Get("X-User-Name") != "alice" || !strings.Contains(saw.Get("X-User-Roles"), "staff") {
		t.Errorf("the upstream saw %v", saw)
	}
	get(t, g.url("/"), r.robotToken("robot")).seen(t)
	stranger := r.robotToken("stranger")
	get(t, g.url("/"), stranger).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	said, _, code := runCommand(t, g.home, stranger, g.binary, "oauth", "explain", "--config", g.config, "--adapter", "caddyfile")
	if code != 1 || !strings.Contains(said, "Audience mapper") {
		t.Errorf("explain ends with %d, and does not name Keycloak's setting:\n%s", code, said)
	}
}

func TestKeycloakScopesAndRolesAreRequirements(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	g := newGateway(t)
	up, staff := startUpstream(t), freePort(t)
	g.serve(g.site(g.port, keycloakAPI(r, "require scope orders:write"), up) +
		g.site(staff, keycloakAPI(r, "require claim realm_access.roles staff"), up))
	get(t, g.url("/"), r.robotToken("robot", "orders:write")).seen(t)
	if challenge := get(t, g.url("/"), r.robotToken("robot")).wantChallenge(t, http.StatusForbidden, "insufficient_scope"); !strings.Contains(challenge, `scope="orders:write"`) {
		t.Errorf("challenge %s", challenge)
	}
	get(t, at(staff)+"/", r.userToken("alice")).seen(t) // of the group sales
	if a := get(t, at(staff)+"/", r.userToken("bob")); a.status != http.StatusForbidden {
		t.Errorf("without the role: %d %s", a.status, a.body)
	}
}

// Roles of a client stand below its name, which may have dots in it.
func TestRolesOfAKeycloakClientWithADotInItsNameAreReached(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	for _, path := range []string{"resource_access.billing.api.roles", "/resource_access/billing.api/roles"} {
		g := startGateway(t, startUpstream(t), keycloakAPI(r, "require claim "+path+" reader\n\t\tcopy_claims "+path+">X-Billing-Roles"))
		if got := get(t, g.url("/"), r.userToken("alice")).seen(t).Header.Get("X-Billing-Roles"); !strings.Contains(got, "reader") {
			t.Errorf("%s: the upstream saw %q", path, got)
		}
		if a := get(t, g.url("/"), r.userToken("bob")); a.status != http.StatusForbidden {
			t.Errorf("%s, without the role: %d %s", path, a.status, a.body)
		}
	}
}

func TestALightweightTokenOfKeycloakIsRefusedAndExplained(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	g := startGateway(t, startUpstream(t), keycloakAPI(r, ""))
	token := r.robotToken("lightweight")
	get(t, g.url("/"), token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	said, _, code := runCommand(t, g.home, token, g.binary, "oauth", "explain", "--config", g.config, "--adapter", "caddyfile")
	if code != 1 || !strings.Contains(said, "Always use lightweight access token") {
		t.Errorf("explain ends with %d, and does not name Keycloak's setting:\n%s", code, said)
	}
}

func TestKeycloakIDAndRefreshTokensAreNoAccessTokens(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	g := startGateway(t, startUpstream(t), keycloakAPI(r, ""))
	tokens := r.post("token", url.Values{"grant_type": {"password"}, "client_id": {"phone"}, "username": {"alice"}, "password": {"alice-password"}, "scope": {"openid"}}).reply(t)
	for name, token := range map[string]string{"ID token": tokens.IDToken, "refresh token": tokens.RefreshToken} {
		if token == "" {
			t.Fatalf("no %s", name)
		}
		get(t, g.url("/"), token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	}
}

func TestATokenOfAnotherHostNameOfKeycloakIsRefusedAndExplained(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	g := startGateway(t, startUpstream(t), keycloakAPI(r, ""))
	// Without hostname, Keycloak's issuer is the address that it is asked at.
	other := *r
	other.url = strings.Replace(r.url, "127.0.0.1", "localhost", 1)
	token := other.robotToken("robot")
	get(t, g.url("/"), token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	said, _, code := runCommand(t, g.home, token, g.binary, "oauth", "explain", "--config", g.config, "--adapter", "caddyfile")
	if code != 1 || !strings.Contains(said, "KC_HOSTNAME") {
		t.Errorf("explain ends with %d, and does not name Keycloak's setting:\n%s", code, said)
	}
}

func TestARevokedKeycloakTokenIsRefusedAtOnceWhereTheIssuerIsAsked(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	g := newGateway(t)
	up, unasked := startUpstream(t), freePort(t)
	asked := strings.Replace(keycloakAPI(r, ""), "orders-secret", "orders-secret\n\t\t\tintrospect {\n\t\t\t\talways\n\t\t\t\tcache 0s\n\t\t\t}", 1)
	g.serve(g.site(g.port, asked, up) + g.site(unasked, keycloakAPI(r, ""), up))
	token := r.userToken("alice")
	get(t, g.url("/"), token).seen(t)
	r.post("revoke", url.Values{"client_id": {"phone"}, "token": {token}})
	get(t, g.url("/"), token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	get(t, at(unasked)+"/", token).seen(t) // until it expires: a signature is all there is to look at
}

// Since 26.6.2 Keycloak tells a client of a token only if the client is in its aud.
func TestKeycloakTellsAClientOfTokensForItAlone(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	token := r.userToken("alice")
	if claims := r.introspect(token); claims["active"] != true {
		t.Errorf("orders, which is in aud, learns %v", claims)
	}
	ask := strings.Replace(keycloakAPI(r, ""), "client orders orders-secret", "client robot robot-secret\n\t\t\tintrospect {\n\t\t\t\talways\n\t\t\t}", 1)
	g := startGateway(t, startUpstream(t), ask)
	get(t, g.url("/"), token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	said, _, code := runCommand(t, g.home, token, g.binary, "oauth", "explain", "--config", g.config, "--adapter", "caddyfile")
	if code != 1 || !strings.Contains(said, "Keycloak") || !strings.Contains(said, "in its aud") {
		t.Errorf("explain ends with %d, and does not say it:\n%s", code, said)
	}
}

func TestANewKeyOfKeycloakIsUsedAtOnceAndAnOldOneIsForgotten(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	// A realm of its own: all others would lose their tokens.
	r.admin(http.MethodPost, "", map[string]any{
		"realm": "rotating", "enabled": true, "sslRequired": "none",
		"clients": []any{map[string]any{"clientId": "robot", "secret": "robot-secret", "serviceAccountsEnabled": true, "protocolMappers": []any{map[string]any{
			"name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
			"config": map[string]string{"included.custom.audience": "orders", "access.token.claim": "true"},
		}}}},
	}, nil)
	r.name, r.url = "rotating", r.base+"/realms/rotating"
	g := startGateway(t, startUpstream(t), fmt.Sprintf("oauth %s orders", r.url))
	old := r.robotToken("robot")
	get(t, g.url("/"), old).seen(t)

	var keys []map[string]any
	const providers = "/rotating/components?type=org.keycloak.keys.KeyProvider"
	r.admin(http.MethodGet, providers, nil, &keys)
	r.admin(http.MethodPost, "/rotating/components", map[string]any{
		"name": "new", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
		"config": map[string]any{"priority": []string{"200"}},
	}, nil)
	token := r.robotToken("robot")
	before, _ := tokenParts(t, old)
	if after, _ := tokenParts(t, token); after["kid"] == before["kid"] {
		t.Fatal("the old key still signs")
	}
	await(t, 2*fetchFloor, "the new key to be taken", func() bool { return get(t, g.url("/"), token).status == http.StatusOK })
	get(t, g.url("/"), old).seen(t)

	for _, key := range keys {
		if key["providerId"] == "rsa-generated" {
			r.admin(http.MethodDelete, "/rotating/components/"+fmt.Sprint(key["id"]), nil, nil)
		}
	}
	var fetched answer
	await(t, 2*fetchFloor, "a fetch on request, of which there is one in five seconds", func() bool {
		resp, err := http.Post("http://"+g.admin+"/oauth/issuers/fetch?issuer="+url.QueryEscape(r.url), "", nil)
		if err == nil {
			fetched, err = readAnswer(resp)
		}
		return err == nil && fetched.status == http.StatusOK
	})
	if strings.Contains(fetched.body, fmt.Sprint(before["kid"])) {
		t.Errorf("Keycloak still publishes the old key: %s", fetched.body)
	}
	get(t, g.url("/"), old).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	get(t, g.url("/"), token).seen(t)
}
