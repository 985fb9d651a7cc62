package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestDexsAccessTokensAreIDTokensAndPassWhereThatIsSpeltOut(t *testing.T) {
	t.Parallel()
	d := runDex(t, "http://127.0.0.1:9")
	token := d.token(t, "alice")
	header, claims := tokenParts(t, token)
	if header["typ"] != nil || claims["aud"] != "orders-app" || claims["at_hash"] == nil && claims["nonce"] == nil {
		t.Errorf("another token than the page says: %v %v", header, claims)
	}
	up := startUpstream(t)
	g := newGateway(t)
	strict := freePort(t)
	g.serve(g.site(g.port, bearerOf(d.url, "audience orders-app\ninsecure_id_tokens", "require claim groups staff"), up) +
		g.site(strict, bearerOf(d.url, "audience orders-app", ""), up))
	a := get(t, g.url("/"), token)
	_ = a.seen(t)
	get(t, g.url("/"), d.token(t, "bob")).wantChallenge(t, http.StatusForbidden, "insufficient_scope")
	get(t, at(strict)+"/", token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	for _, document := range []string{"/.well-known/oauth-authorization-server/dex", "/dex/.well-known/oauth-authorization-server"} {
		if status := get(t, d.desk.url+document, "").status; status != http.StatusNotFound {
			t.Errorf("%s answers %d, and the page says that there is none", document, status)
		}
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(get(t, d.url+"/.well-known/openid-configuration", "").body), &doc); err != nil {
		t.Fatal(err)
	}
	if grants := fmt.Sprint(doc["grant_types_supported"]); strings.Contains(grants, "client_credentials") {
		t.Errorf("the page says that there is no client_credentials: %s", grants)
	}
	for _, member := range []string{"end_session_endpoint", "revocation_endpoint"} {
		if doc[member] != nil {
			t.Errorf("the metadata have %s, and the page says that they do not", member)
		}
	}
}

func TestTheRecipeForDexLogsInAndOut(t *testing.T) {
	t.Parallel()
	d, g := dexSite(t)
	v := d.person(t, "alice")
	at := v.logIn(g.url("/orders"))
	if email := at.seen(t).Header.Get("X-User-Email"); email != "alice@example.com" {
		t.Errorf("the upstream saw the e-mail %q", email)
	}
	// As a client's Bearer token the same one is refused.
	token := strings.TrimPrefix(at.seen(t).Header.Get("Authorization"), "Bearer ")
	get(t, g.url("/orders"), token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	session := v.session(g)
	out := v.submit(v.open(g.url("/_oauth/logout")))
	if out.status != http.StatusOK || !strings.HasPrefix(out.url.String(), g.url("/_oauth/")) {
		t.Errorf("the log-out ends with %d at %s", out.status, out.url)
	}
	wantEnded(t, g, session)
	if next := v.open(g.url("/orders")); !strings.Contains(next.body, `name="password"`) {
		t.Errorf("after the log-out Dex does not ask for the password: %d at %s", next.status, next.url)
	}
}

func TestFiftyRequestsAtATimeRefreshOnceAtDex(t *testing.T) {
	t.Parallel()
	d, g := dexSite(t, "idTokens: 1h", "idTokens: 4s", "reuseInterval: 30s", "reuseInterval: 1s")
	v := d.person(t, "alice")
	v.logIn(g.url("/orders")).seen(t)
	fifty(t, g, v.session(g))
	d.desk.wantOnce(t, "orders-app")
	d.desk.wantNoTokens(t, "orders-app", g)
}

func TestALostAnswerOfDexIsMadeUpForWithinItsReuseIntervalAndEndsTheSessionAfterIt(t *testing.T) {
	t.Parallel()
	for interval, lives := range map[string]bool{"30s": true, "1s": false} {
		t.Run("reuseInterval "+interval, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			d := runDex(t, g.url(""), "idTokens: 1h", "idTokens: 6s", "reuseInterval: 30s", "reuseInterval: "+interval)
			grace := "reuse_grace 30s"
			if !lives {
				grace = ""
			}
			g.serve(change(t, recipeOf(t, "issuers/dex.md", "caddyfile", "login {"),
				"app.example.com", g.url(""), "https://dex.example.com/dex", d.url, "orders:8080", startUpstream(t).address(),
				"{$DEX_SECRET:change-me}", "change-me", "reuse_grace 30s", grace))
			v := d.person(t, "alice")
			v.logIn(g.url("/orders")).seen(t)
			d.desk.look("orders-app", func(c *customer) { c.lose = 1 })
			if lives {
				fifty(t, g, v.session(g))
				return
			}
			await(t, 60*time.Second, "the session to end", func() bool {
				return present(t, g, v.session(g)).status == http.StatusUnauthorized
			})
			d.desk.look("orders-app", func(c *customer) {
				if strings.Join(c.refused, " ") != "invalid_request" {
					t.Errorf("Dex refused with %q, want invalid_request once", c.refused)
				}
			})
		})
	}
}

// Dex keeps one refresh token for each user, connector and client.
func TestTheSecondBrowserOfAUserEndsTheFirstAtDex(t *testing.T) {
	t.Parallel()
	d, g := dexSite(t, "idTokens: 1h", "idTokens: 6s")
	first, second, other := d.person(t, "alice"), d.person(t, "alice"), d.person(t, "bob")
	first.logIn(g.url("/orders")).seen(t)
	other.logIn(g.url("/orders")).seen(t)
	second.logIn(g.url("/orders")).seen(t)
	await(t, 60*time.Second, "the first session to end", func() bool {
		present(t, g, second.session(g)).seen(t)
		present(t, g, other.session(g)).seen(t)
		return present(t, g, first.session(g)).status == http.StatusUnauthorized
	})
}

// Dex's own page for devices sends a browser back to /device/callback. Below a
// path that is not where Dex is, but for clients without a secret.
func TestADeviceLogsInAtDexThroughTheGatewayWhereTheIssuerHasNoPath(t *testing.T) {
	t.Parallel()
	d := runDexBelow(t, "", "http://127.0.0.1:9", "      - http://127.0.0.1:9/_oauth/callback", "      - /device/callback")
	g := startGateway(t, startUpstream(t), bearerOf(d.url, `audience orders-app
		insecure_id_tokens
		client orders-app change-me {
			auth client_secret_post
		}`, `token_endpoint /token {
			grant_types device_code refresh_token
			public_clients tv
			device_authorization_endpoint /device
		}`))
	tv := device{t, g}
	begun := tv.begin("openid offline_access email")
	v := d.person(t, "alice")
	v.types["user_code"] = begun.UserCode
	at := v.open(d.url + "/device")
	for range 4 {
		if !strings.Contains(at.body, "<form") {
			break
		}
		at = v.submit(at)
	}
	get(t, g.url("/"), tv.wait(begun)).seen(t)
}

// device is a client that has no browser.
type device struct {
	t *testing.T
	g *gateway
}

func (d device) ask(path string, form url.Values) answer {
	d.t.Helper()
	form.Set("client_id", "tv")
	resp, err := plainClient.PostForm(d.g.url(path), form)
	if err != nil {
		d.t.Fatal(err)
	}
	a, err := readAnswer(resp)
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

func (d device) begin(scope string) reply {
	d.t.Helper()
	a := d.ask("/device", url.Values{"scope": {scope}})
	begun := a.reply(d.t)
	if begun.DeviceCode == "" || begun.UserCode == "" {
		d.t.Fatalf("no device code: %d %s", a.status, a.body)
	}
	return begun
}

// wait polls until the user has said yes.
func (d device) wait(begun reply) (token string) {
	d.t.Helper()
	pause := time.Duration(max(begun.Interval, 1)) * time.Second
	await(d.t, 30*time.Second, "the device to get its token", func() bool {
		a := d.ask("/token", url.Values{"grant_type": {deviceGrant}, "device_code": {begun.DeviceCode}})
		got := a.reply(d.t)
		if got.Error != "" && got.Error != "authorization_pending" && got.Error != "slow_down" {
			d.t.Fatalf("the token endpoint: %d %s", a.status, a.body)
		}
		if token = got.AccessToken; token == "" {
			time.Sleep(pause) // whoever is faster is told to slow down
		}
		return token != ""
	})
	return token
}
