package caddyoauth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/devissuer"
	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
)

// swapped reports whether the upstream got an access token and nothing of ours.
func (g *gate) swapped(what string, r *http.Request, strip bool) {
	g.Helper()
	all := r.URL.String() + " " + r.RequestURI
	for name, values := range r.Header {
		all += "\n" + name + ": " + strings.Join(values, ", ")
	}
	if strings.Contains(all, credential.AccessPrefix) || strings.Contains(all, credential.RefreshPrefix) {
		g.Errorf("%s: the upstream saw a token of ours: %s", what, all)
	}
	if got := r.Header.Values("Authorization"); strip && len(got) > 0 || !strip && (len(got) != 1 || !strings.HasPrefix(got[0], "Bearer ey")) {
		g.Errorf("%s: the upstream's Authorization is %q", what, got)
	}
}

func TestAReferenceTokenWorksInTheConfiguredPlaceAndTheUpstreamGetsTheAccessToken(t *testing.T) {
	issuer := newGrantor(t, nil)
	for _, row := range []struct {
		name, words, method, target, header, value string
		strip                                      bool
	}{
		{"Authorization", "", "GET", "/orders?a=1", "Authorization", "Bearer {}", false},
		{"in another case", "", "GET", "/orders", "Authorization", "bEARER   {}", false},
		{"HEAD", "", "HEAD", "/orders", "Authorization", "Bearer {}", false},
		{"OPTIONS", "", "OPTIONS", "/orders", "Authorization", "Bearer {}", false},
		{"stripped", "strip_token", "GET", "/orders", "Authorization", "Bearer {}", true},
		{"a header", "credentials header X-Token", "GET", "/orders", "X-Token", "{}", false},
		{"a header with Bearer", "credentials header X-Token", "GET", "/orders", "X-Token", "Bearer {}", false},
		{"a header, stripped", "credentials header X-Token\nstrip_token", "GET", "/orders", "X-Token", "{}", true},
		{"a cookie", "credentials cookie at", "GET", "/orders", "Cookie", "a=1; at={}; b=2", false},
		{"a cookie, stripped", "credentials cookie at\nstrip_token", "GET", "/orders", "Cookie", "at={}", true},
		{"a query parameter", "credentials query token", "GET", "/orders?a=1&token={}&b=2", "", "", false},
		{"an escaped one", "credentials query token", "GET", "/orders?%74oken=%6F{rest}", "", "", false},
		{"a query parameter, stripped", "credentials query token\nstrip_token", "GET", "/orders?token={}", "", "", true},
		{"anonymous allowed", "allow_anonymous", "GET", "/orders", "Authorization", "Bearer {}", false},
	} {
		g := newGate(t, issuer, endpoint+"\n"+row.words)
		tok := g.token("orders").AccessToken
		fill := strings.NewReplacer("{}", tok, "{rest}", tok[1:])
		var headers []string
		if row.header != "" {
			headers = []string{row.header, fill.Replace(row.value)}
		}
		res := g.send(row.method, fill.Replace(row.target), "", headers...)
		if res.Code != 200 || len(g.saw) != 1 {
			t.Errorf("%s: %d %s, forwarded %d", row.name, res.Code, res.Body, len(g.saw))
			continue
		}
		g.swapped(row.name, g.saw[0], row.strip)
		if strings.Contains(row.target, "a=1") && !strings.Contains(g.saw[0].URL.RawQuery, "a=1") ||
			strings.Contains(row.value, "a=1") && g.saw[0].Header.Get("Cookie") != "a=1; b=2" {
			t.Errorf("%s: something else is gone: %v %v", row.name, g.saw[0].URL, g.saw[0].Header)
		}
		g.hides([]string{tok[10:40]})
	}
}

func TestATokenOfOursWhereItDoesNotWorkGetsAVerdictAndGoesNowhere(t *testing.T) {
	issuer := newGrantor(t, nil)
	for _, row := range []struct{ name, words, target, header, value, want string }{
		{"a refresh token as Bearer", "", "/", "Authorization", "Bearer {r}", "401 refresh_token"},
		{"a refresh token, anonymous allowed", "allow_anonymous", "/", "Authorization", "Bearer {r}", "401 refresh_token"},
		{"half a refresh token", "", "/", "Authorization", "Bearer ogr_abc", "401 refresh_token"},
		{"an unknown token", "", "/", "Authorization", "Bearer oga_" + strings.Repeat("A", 64), "401 no_grant"},
		{"an unknown token, anonymous allowed", "allow_anonymous", "/", "Authorization", "Bearer oga_" + strings.Repeat("A", 64), "401 no_grant"},
		{"a token and a letter", "", "/", "Authorization", "Bearer {a}A", "401 no_grant"},
		{"a token and padding", "", "/", "Authorization", "Bearer {a}=", "401 no_grant"},
		{"half a token", "", "/", "Authorization", "Bearer oga_abc", "401 no_grant"},
		{"a token in upper case", "", "/", "Authorization", "Bearer OGA_{rest}", "401 not_jwt"},
		{"a token behind Basic", "", "/", "Authorization", "Basic {a}", "401 other_scheme"},
		{"a token without a scheme", "", "/", "Authorization", "{a}", "401 other_scheme"},
		{"another header", "", "/", "X-Token", "{a}", "400 stray_token"},
		{"a refresh token in another header", "", "/", "X-Token", "{r}", "400 stray_token"},
		{"within another header", "", "/", "Referer", "https://a.example/?x={a}&y=1", "400 stray_token"},
		{"another header, anonymous allowed", "allow_anonymous", "/", "X-Token", "a {a}", "400 stray_token"},
		{"Proxy-Authorization", "", "/", "Proxy-Authorization", "Bearer {a}", "400 stray_token"},
		{"a cookie", "", "/", "Cookie", "a=1; b={a}", "401 no_credential"},
		{"a refresh token in a cookie", "", "/", "Cookie", "b={r}", "401 no_credential"},
		{"a quoted cookie", "", "/", "Cookie", `b="{a}"`, "401 no_credential"},
		{"another cookie beside the place", "credentials cookie at", "/", "Cookie", "b={a}; at=x", "401 not_jwt"},
		{"a refresh token in the cookie's place", "credentials cookie at", "/", "Cookie", "at={r}", "401 refresh_token"},
		{"a refresh token in the header's place", "credentials header X-Token", "/", "X-Token", "{r}", "401 refresh_token"},
		{"a refresh token in the query's place", "credentials query token", "/?token={r}", "", "", "401 refresh_token"},
		{"a query", "", "/?x={a}", "", "", "400 stray_token"},
		{"a refresh token in a query", "", "/?refresh_token={r}", "", "", "400 stray_token"},
		{"a query behind a semicolon", "", "/?x=1;y={a}", "", "", "400 stray_token"},
		{"the name of a parameter", "", "/?{a}=1", "", "", "400 stray_token"},
		{"a bare query", "", "/?{a}", "", "", "400 stray_token"},
		{"an escaped query", "", "/?x=%6Fga%5f{rest}", "", "", "400 stray_token"},
		{"an escaped name", "", "/?%6fga_{rest}=", "", "", "400 stray_token"},
		{"beside the query's place", "credentials query token", "/?token=a.b.c&x={a}", "", "", "400 stray_token"},
		{"the path", "", "/a/{a}/b", "", "", "400 stray_token"},
		{"a refresh token in the path", "", "/{r}", "", "", "400 stray_token"},
		{"an escaped path", "", "/a/%6F%67a_{rest}", "", "", "400 stray_token"},
		{"the path, anonymous allowed", "allow_anonymous", "/a;x={a}", "", "", "400 stray_token"},
		{"a path that others read differently", "", "/a/../{a}", "", "", "400 stray_token"},
	} {
		g := newGate(t, issuer, endpoint+"\n"+row.words)
		tok := g.token("orders")
		issuer.take()
		fill := strings.NewReplacer("{a}", tok.AccessToken, "{r}", tok.RefreshToken, "{rest}", tok.AccessToken[4:])
		var headers []string
		if row.header != "" {
			headers = []string{row.header, fill.Replace(row.value)}
		}
		g.logs.TakeAll()
		res := g.send(http.MethodGet, fill.Replace(row.target), "", headers...)
		status, _, _ := strings.Cut(row.want, " ")
		reason := ""
		for _, line := range g.logs.FilterMessage("refused").All() {
			reason, _ = line.ContextMap()["reason"].(string)
		}
		if got := http.StatusText(res.Code); got == "" || status+" "+reason != row.want || status[0] != '4' || res.Code/100 != 4 {
			t.Errorf("%s: %d %s, want %s", row.name, res.Code, reason, row.want)
		}
		if len(g.saw) > 0 {
			t.Errorf("%s: it reached the upstream: %v", row.name, g.saw[0].Header)
		}
		if res.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge", row.name)
		}
		if n := issuer.count(); n > 0 {
			t.Errorf("%s: the issuer was asked %d times", row.name, n)
		}
		g.hides([]string{tok.AccessToken[10:40], tok.RefreshToken[10:40]}, res.Body.String())
	}
}

// A token of the issuer may hold our prefix by chance.
func TestLettersLikeOursWithinAnotherTokenMeanNothing(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "oga_": false, "oga_abc": false, "a.oga_" + strings.Repeat("a", 63): false,
		"eyJ" + "oga_" + strings.Repeat("a", 64): false, "a-oga_" + strings.Repeat("a", 64): false, "_ogr_" + strings.Repeat("a", 64): false,
		"oga_" + strings.Repeat("a", 64): true, "ogr_" + strings.Repeat("a", 96): true, "x=oga_" + strings.Repeat("-", 64) + "&": true,
		"ogogoga_oga_" + strings.Repeat("a", 64): false, "og oga_" + strings.Repeat("_", 64): true, "oga_abc.oga_" + strings.Repeat("a", 64): true,
		"ogb_" + strings.Repeat("a", 64): false, "oga-" + strings.Repeat("a", 64): false,
	} {
		if credential.HoldsOurs(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	tok := g.token("orders")
	if status, _ := g.get(tok.AccessToken); status != 200 {
		t.Fatal(status)
	}
	jwt := issuer.access("alice")
	res := g.send(http.MethodGet, "/?state=eyJoga_"+strings.Repeat("a", 64), "", "Authorization", "Bearer "+jwt, "X-Id", "Aoga_"+strings.Repeat("a", 64))
	if res.Code != 200 {
		t.Errorf("%d %s", res.Code, res.Body)
	}
}

func TestReferenceTokensAndTheIssuersOwnPassSideBySide(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint+"\ncopy_claims sub>X-User")
	tok, jwt := g.token("orders"), issuer.access("alice")
	for range 3 {
		for presented, want := range map[string]string{tok.AccessToken: "orders", jwt: "alice"} {
			if status, _ := g.get(presented); status != 200 || g.saw[len(g.saw)-1].Header.Get("X-User") != want {
				t.Errorf("%d, user %q, want %s", status, g.saw[len(g.saw)-1].Header.Get("X-User"), want)
			}
		}
	}
	issuer.take()
	g.clock.ahead.Add(int64(accessLife + 2*issuers.DefaultSkew))
	if status, _ := g.get(jwt); status != 401 {
		t.Errorf("the issuer's own token, expired: %d, want 401", status)
	}
	if n := issuer.count(); n != 0 {
		t.Errorf("it was refreshed for whoever presented it: %d calls", n)
	}
}

// The introductory life cycle, at the gateway and with the development issuer.
func TestAClientLivesOnWhetherItRefreshesOrNot(t *testing.T) {
	c := new(clock)
	var server *devissuer.Server
	live := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { server.ServeHTTP(w, r) }))
	t.Cleanup(live.Close)
	var err error
	server, err = devissuer.New(devissuer.Options{
		Issuer: live.URL, Audience: []string{"api"}, Lifetime: 15 * time.Second, Now: c.now,
		Clients: []devissuer.Client{{ID: "demo", Secret: "demo-secret", Scopes: []string{"read"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	g := rawGate(t, "oauth {\nissuer "+live.URL+" {\naudience api\nskew 0s\n}\n"+strings.Replace(endpoint, "{", "{\ndefault_grant client_credentials", 1)+"\n}", c)
	credentials := "client_id=demo&client_secret=demo-secret"
	g.refused("a wrong secret", g.post("/auth", "client_id=demo&client_secret=wrong"), "401 invalid_client")
	g.refused("a scope too many", g.post("/auth", credentials+"&scope=write"), "400 invalid_scope")
	first := g.answer(g.post("/auth", credentials))
	if first.Scope != "read" || first.ExpiresIn < 43_100 || first.ExpiresIn > 43_200 {
		t.Errorf("scope %q, expires in %d: want the session's twelve hours", first.Scope, first.ExpiresIn)
	}
	status, upstream := g.get(first.AccessToken)
	if status != 200 {
		t.Fatal(status)
	}
	second := g.answer(g.post("/refresh", credentials+"&grant_type=refresh_token&refresh_token="+first.RefreshToken))
	if second.RefreshToken == first.RefreshToken || second.RefreshToken == "" {
		t.Error("the refresh token did not rotate")
	}
	again := g.answer(g.post("/refresh", credentials+"&grant_type=refresh_token&refresh_token="+first.RefreshToken))
	if again.RefreshToken != second.RefreshToken {
		t.Error("the same refresh token got two successors")
	}
	for range 5 {
		g.skip(15 * time.Second)
		status, next := g.get(first.AccessToken)
		if status != 200 || next == upstream {
			t.Fatalf("%d after the access token ran out, another one: %v", status, next != upstream)
		}
		upstream = next
	}
	if res := g.post("/revoke", "token="+second.RefreshToken, basic("demo", "demo-secret")...); res.Code != 200 || res.Body.Len() > 0 || res.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("revoking: %d %s", res.Code, res.Body)
	}
	if status, _ := g.get(first.AccessToken); status != 401 {
		t.Errorf("revoked: %d, want 401", status)
	}
	g.refused("revoked", g.post("/refresh", credentials+"&grant_type=refresh_token&refresh_token="+second.RefreshToken), "400 invalid_grant")
	for _, unknown := range []string{first.AccessToken, second.RefreshToken, "abc", "oga_abc"} {
		if res := g.post("/revoke", "token="+unknown, basic("demo", "demo-secret")...); res.Code != 200 {
			t.Errorf("revoking what means nothing: %d", res.Code) // RFC 7009 §2.2
		}
	}
	g.refused("no token", g.post("/revoke", "", basic("demo", "demo-secret")...), "400 invalid_request")
	g.hides([]string{"demo-secret", first.AccessToken[10:40], first.RefreshToken[10:40], second.RefreshToken[70:], upstream[40:80]})
}
