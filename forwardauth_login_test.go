package caddyoauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// newAskedPortal is a portal behind another proxy. words are those of forward_auth
// beside from.
func newAskedPortal(t *testing.T, words, more string) *portal {
	t.Helper()
	return portalWith(t, "forward_auth {\nfrom 10.0.0.0/8\n"+words+"\n}\nlogin {\nscope profile\n}\ncopy_claims sub>X-User-Id\n"+endpoint+"\n"+more, nil)
}

// ask is another proxy's question about a request of this browser.
func (b *tab) ask(method, target string, headers ...string) *httptest.ResponseRecorder {
	b.Helper()
	return b.do(http.MethodGet, "/verify", append([]string{"X-Forwarded-Method", method, "X-Forwarded-Uri", target}, headers...)...)
}

// led follows the answer to a click to the issuer.
func (b *tab) led(res *httptest.ResponseRecorder) url.Values {
	b.Helper()
	at, err := url.Parse(res.Header().Get("Location"))
	if err != nil || at.Host != "api.example" || at.Scheme != "https" || at.Path != "/_oauth/login" {
		b.Fatalf("not led to log in here: %d %v; log: %s", res.Code, res.Header(), b.logged())
	}
	return b.begin(at.RequestURI())
}

func TestAClickThatAnotherProxyAsksAboutIsLedToLogInAndComesBack(t *testing.T) {
	for name, row := range map[string]struct {
		words string
		want  int
	}{
		"a proxy that hands redirects on": {"", http.StatusFound},
		"and says so":                     {"statuses 302 401", http.StatusFound},
		"one that makes them of a 401":    {"statuses 401 403", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			s := newAskedPortal(t, row.words, "")
			b := s.browser()
			res := b.ask(http.MethodGet, `/orders/7?page=2&q=a\b`, navigation...)
			if res.Code != row.want || (row.want == http.StatusUnauthorized) != (res.Header().Get("WWW-Authenticate") == "Bearer") ||
				res.Header().Get("Cache-Control") != "no-store" || res.Header().Get("X-Oauth-Verdict") != "" {
				t.Errorf("the answer: %d %v", res.Code, res.Header())
			}
			if len(res.Header()["Set-Cookie"]) > 0 {
				t.Error("a cookie would have to come through the other proxy's answer")
			}
			if res = b.back(b.led(res)); res.Code != http.StatusSeeOther || res.Header().Get("Location") != `/orders/7?page=2&q=a\b` {
				t.Fatalf("back: %d %v; log: %s", res.Code, res.Header(), s.logged())
			}
			res = b.ask(http.MethodGet, "/orders/7", append([]string{"Cookie", "theirs=1; other=2"}, navigation...)...)
			h := res.Header()
			if res.Code != http.StatusOK || h.Get("X-Oauth-Verdict") != "pass" || h.Get("X-User-Id") != "alice" || !strings.HasPrefix(h.Get("Authorization"), "Bearer ey") {
				t.Errorf("then: %d %v", res.Code, h)
			}
			if got := h["Cookie"]; len(got) != 1 || got[0] != "theirs=1; other=2" {
				t.Errorf("the upstream may see the cookies %q", got)
			}
			if got := b.ask(http.MethodGet, "/orders/7").Header()["Cookie"]; got != nil {
				t.Errorf("and of none %q", got)
			}
			s.hides([]string{b.cookies["__Host-oauth"]})
		})
	}
}

func TestWhatIsNoClickIsRefusedToAnotherProxyAsBefore(t *testing.T) {
	s := newAskedPortal(t, "", "")
	for name, row := range map[string]struct {
		method  string
		headers []string
	}{
		"a script":              {"GET", []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "text/html"}},
		"a frame":               {"GET", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}},
		"curl":                  {"GET", []string{"Accept", "*/*"}},
		"a form":                {"POST", navigation},
		"a socket":              {"GET", []string{"Upgrade", "websocket", "Connection", "Upgrade", "Accept", "text/html"}},
		"a token that is wrong": {"GET", append([]string{"Authorization", "Bearer x.y.z"}, navigation...)},
	} {
		if res := s.browser().ask(row.method, "/orders", row.headers...); res.Code != http.StatusUnauthorized || res.Header().Get("Location") != "" {
			t.Errorf("%s: %d %v", name, res.Code, res.Header())
		}
	}
}

// The address is the browser's own Host, or what a trusted proxy says. A question
// from elsewhere learns nothing, and what is no host leads nowhere.
func TestNoQuestionLeadsToAnotherSite(t *testing.T) {
	s := newAskedPortal(t, "", "")
	for _, target := range []string{"//evil.example/x", `/\evil.example`, "https://evil.example/", "/%2f%2fevil.example", "/_oauth/login?return=/x", "/_OAUTH/callback"} {
		res := s.browser().ask(http.MethodGet, target, navigation...)
		if at := res.Header().Get("Location"); at != "" && !strings.HasPrefix(at, "https://api.example/_oauth/login?return=%2F") {
			t.Errorf("%s leads to %s", target, at)
		}
	}
	for _, headers := range [][]string{
		{"X-Forwarded-Host", "evil.example"}, {"X-Forwarded-Proto", "http"}, {"X-Forwarded-Prefix", "/evil"}, {"Forwarded", "host=evil.example"},
	} {
		res := s.browser().ask(http.MethodGet, "/orders", append(headers, navigation...)...)
		if at := res.Header().Get("Location"); at != "https://api.example/_oauth/login?return=%2Forders" {
			t.Errorf("with %v: %s", headers, at)
		}
	}
	for _, target := range []string{"https://evil.example/x", "https://api.example.evil/x", "https://api.example", "//evil.example", "https://api.example//evil.example"} {
		b := s.browser()
		if res := b.back(b.begin("/_oauth/login?return=" + url.QueryEscape(target))); res.Header().Get("Location") != "/" {
			t.Errorf("return=%s leads to %s", target, res.Header().Get("Location"))
		}
	}
	b := s.browser()
	if res := b.back(b.begin("/_oauth/login?return=" + url.QueryEscape("https://api.example/orders?x=1"))); res.Header().Get("Location") != "/orders?x=1" {
		t.Errorf("the site's own address leads to %s", res.Header().Get("Location"))
	}
}

// A proxy that asks about our own paths would send a browser round and round.
func TestAQuestionAboutAnOwnPathIsNotLedInCircles(t *testing.T) {
	s := newAskedPortal(t, "", "")
	for _, path := range []string{"/_oauth/login", "/_oauth/callback?code=x", "/_OAuth/sessions"} {
		if res := s.browser().ask(http.MethodGet, path, navigation...); res.Code != http.StatusUnauthorized || res.Header().Get("Location") != "" {
			t.Errorf("%s: %d %v", path, res.Code, res.Header())
		}
		if !strings.Contains(s.logged(), "are the gateway's own") {
			t.Error("no log line says why")
		}
	}
}

// A client's own headers that a proxy hands on to a path of ours make a question of
// it, whose answer would show the access token behind a session.
func TestAQuestionAtAPathOfTheLogInIsRefused(t *testing.T) {
	s := newAskedPortal(t, "", "")
	b := s.browser()
	b.back(b.led(b.ask(http.MethodGet, "/", navigation...)))
	for _, path := range []string{"/_oauth/login", "/_oauth/sessions", "/_oauth/nothing", "/_OAuth/x"} {
		res := b.do(http.MethodGet, path, "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/orders")
		if res.Code != http.StatusBadRequest || res.Header().Get("Authorization") != "" || res.Header().Get("X-Oauth-Verdict") != "" {
			t.Errorf("%s: %d %v", path, res.Code, res.Header())
		}
	}
}

func TestASessionBehindAnotherProxyChangesNothingForAnotherSite(t *testing.T) {
	s := newAskedPortal(t, "", "")
	b := s.browser()
	b.back(b.led(b.ask(http.MethodGet, "/", navigation...)))
	handshake := []string{"Sec-Websocket-Version", "13", "Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="} // the proxy has left Upgrade out
	for name, row := range map[string]struct {
		method  string
		headers []string
		want    int
	}{
		"a form of this site":            {"POST", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		"by its Origin":                  {"POST", []string{"Origin", "https://api.example"}, 200},
		"another site's":                 {"POST", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a neighbour's":                  {"DELETE", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://other.example"}, 403},
		"nobody's":                       {"PUT", nil, 403},
		"another site's link":            {"GET", []string{"Sec-Fetch-Site", "cross-site"}, 200},
		"another site's WebSocket":       {"GET", append([]string{"Origin", "https://other.example"}, handshake...), 403},
		"this site's WebSocket":          {"GET", append([]string{"Origin", "https://api.example"}, handshake...), 200},
		"another site's, with Upgrade":   {"GET", []string{"Origin", "https://other.example", "Upgrade", "websocket"}, 403},
		"another site's, told by fields": {"GET", append([]string{"Sec-Fetch-Site", "same-site"}, handshake[:2]...), 403},
	} {
		if res := b.ask(row.method, "/orders", row.headers...); res.Code != row.want {
			t.Errorf("%s: %d, want %d; log: %s", name, res.Code, row.want, s.logged())
		}
	}
}

// What a page wants of a log-in goes with the browser, sealed for its site.
func TestALogInThatAnotherProxyAsksAboutMayHaveToBeStronger(t *testing.T) {
	s := newAskedPortal(t, "", "require /vault acr gold\nrequire /vault max_age 5m\nrequire /vault scope vault")
	b := s.browser()
	b.back(b.led(b.ask(http.MethodGet, "/orders", navigation...)))
	res := b.ask(http.MethodGet, "/vault", navigation...)
	at, err := url.Parse(res.Header().Get("Location"))
	if err != nil || res.Code != http.StatusFound || strings.Contains(at.String(), "gold") {
		t.Fatalf("%d %v", res.Code, res.Header())
	}
	asked := b.led(res)
	if asked.Get("acr_values") != "gold" || asked.Get("max_age") != "300" || !slices.Contains(strings.Fields(asked.Get("scope")), "vault") {
		t.Fatalf("asked for %v", asked)
	}
	s.logsInWith(map[string]any{"acr": "gold", "auth_time": s.clock.now().Unix(), "scope": "profile vault"})
	if res := b.back(asked); res.Code != http.StatusSeeOther || res.Header().Get("Location") != "/vault" {
		t.Fatalf("back: %d %v; log: %s", res.Code, res.Header(), s.logged())
	}
	if res := b.ask(http.MethodGet, "/vault", navigation...); res.Code != http.StatusOK {
		t.Errorf("then: %d", res.Code)
	}
	want := at.Query().Get("want")
	for _, forged := range []string{"x", want[:len(want)-2], strings.Repeat("A", 5000), "eyJ3Ijp7ImEiOlsiZ29sZCJdfX0"} {
		if asked := s.browser().begin("/_oauth/login?return=/vault&want=" + forged); asked.Has("acr_values") || asked.Has("max_age") {
			t.Errorf("%.20s is taken: %v", forged, asked)
		}
	}
}

func TestAScriptThatAProxySendsToTheLogInGets401(t *testing.T) {
	s := newAskedPortal(t, "", "")
	res := s.browser().do(http.MethodGet, "/_oauth/login?return=/", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty")
	if res.Code != http.StatusUnauthorized || res.Header().Get("Location") != "" || res.Header().Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("%d %v", res.Code, res.Header())
	}
	b := s.browser()
	b.begin("/_oauth/login?return=/") // a click
}
