package caddyoauth

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// Each of two gateways on one host had the cookies of the other, and answered
// 400 to everything, the log-in and the log-out included.
func TestTwoGatewaysOnOneHostLockNoUserOutOfEither(t *testing.T) {
	first, second := newPortal(t, "", nil), newPortal(t, "cookie __Host-other", nil)
	for name, s := range map[string][2]*portal{"the first": {first, second}, "the second": {second, first}} {
		t.Run(name, func(t *testing.T) {
			here, there := s[0], s[1]
			b := there.browser()
			b.begin("/orders")
			b.logIn()
			theirs := maps.Clone(b.cookies)
			if len(theirs) != 2 {
				t.Fatalf("cookies: %v", theirs)
			}
			here.saw = nil
			at := &tab{here, maps.Clone(theirs)}
			at.logIn()
			if code := at.status("Cookie", "theme=dark"); code != http.StatusOK || len(here.saw) != 1 || here.saw[0].Header.Get("Cookie") != "theme=dark" {
				t.Fatalf("%d, and the upstream saw %v", code, here.saw)
			}
			at.want("one's own sessions", at.do("GET", "/_oauth/sessions"), http.StatusOK, "Where you are logged in")
			if code := at.do("POST", "/_oauth/logout", "Origin", "https://api.example").Code; code != http.StatusSeeOther {
				t.Errorf("a log-out: %d", code)
			}
			for name, value := range theirs {
				if at.cookies[name] != value {
					t.Errorf("the other's cookie %s is gone", name)
				}
			}
			if back := (&tab{there, at.cookies}); back.status() != http.StatusOK {
				t.Error("logged out of the other one")
			}
		})
	}
}

func TestACookieOfOursUnderAnotherNameIsTakenOffAndStopsNothing(t *testing.T) {
	s := newPortal(t, "}\nallow_anonymous\nsession {\nstore memory", nil)
	tok := s.gate.token("orders")
	for name, cookie := range map[string]string{
		"a session's handle":   "mine=" + session.NewHandle().Reveal(credential.SessionPrefix),
		"a reference token":    "mine=" + tok.AccessToken,
		"a refresh token":      "mine=" + tok.RefreshToken,
		"in quotes":            `mine="` + tok.AccessToken + `"`,
		"escaped":              "mine=%6Fga_" + tok.AccessToken[4:],
		"as a name":            tok.AccessToken + "=1",
		"alone":                tok.AccessToken,
		"that Go leaves out":   "a b=" + tok.AccessToken,
		"in a list":            `b=a,b\` + tok.AccessToken,
		"in another spelling":  "__host-oauth=" + session.NewHandle().Reveal(credential.SessionPrefix),
		"a log-in of somebody": "__Host-x-login-" + strings.Repeat("a", 8) + "=" + strings.Repeat("A", 300),
	} {
		s.saw = nil
		res := s.browser().do("GET", "/orders", "Cookie", "theme=dark; "+cookie+"; x=ogs_y")
		if res.Code != http.StatusOK || len(s.saw) != 1 || s.saw[0].Header.Get("Cookie") != "theme=dark; x=ogs_y" {
			t.Errorf("%s: %d, the upstream saw %v", name, res.Code, s.saw)
		}
		if res := s.browser().do("GET", "/_oauth/logout", "Cookie", cookie); res.Code != http.StatusOK {
			t.Errorf("%s, at a path of our own: %d", name, res.Code)
		}
	}
}

// A gateway without log-in stands beside one that does, on the same host.
func TestNoGatewayForwardsASessionsCookie(t *testing.T) {
	g := benchGateway(t, []*jwssign.Key{benchKey(t, "ES256")}, func(g *Gateway) {
		g.AllowAnonymous = true
		g.Credentials = []credential.Credential{{Header: "Authorization"}, {Cookie: "at"}}
	})
	for _, row := range []struct{ cookies, want string }{
		{"a=1; __Host-oauth={s}; b=2", "a=1; b=2"},
		{"__Host-app={s}", ""},
		{"anything={s}; a=1", "a=1"},
		{"at={s}; a=1", "a=1"}, // not even where it takes tokens
		{"__Host-oauth-login-Ab3_-xyZ={l}; a=1", "a=1"},
		{"__Host-oauth-login-Ab3_-xyZ=short; a=1", "__Host-oauth-login-Ab3_-xyZ=short; a=1"},
		{"login-Ab3_-xyZ={l}", "login-Ab3_-xyZ={l}"},
		{"own=oga_" + strings.Repeat("A", 64), "own=oga_" + strings.Repeat("A", 64)}, // an application's affair
	} {
		fill := strings.NewReplacer("{s}", session.NewHandle().Reveal(credential.SessionPrefix), "{l}", strings.Repeat("Zm9v", 100))
		raw := httptest.NewRequest(http.MethodGet, "https://api.example/", nil)
		raw.Header.Set("Cookie", fill.Replace(row.cookies))
		saw := "nothing"
		res := through(t, g, raw, func(_ http.ResponseWriter, r *http.Request) error {
			saw = strings.Join(r.Header["Cookie"], "|")
			return nil
		})
		if want := strings.TrimSpace(fill.Replace(row.want)); res.Code != http.StatusOK || saw != want {
			t.Errorf("%s: %d, forwarded %q, want %q", row.cookies, res.Code, saw, want)
		}
	}
}

// through serves a request with an upstream.
func through(tb testing.TB, g *Gateway, raw *http.Request, upstream caddyhttp.HandlerFunc) *httptest.ResponseRecorder {
	tb.Helper()
	res := httptest.NewRecorder()
	r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), res, new(caddyhttp.Server))
	if err := g.ServeHTTP(res, r, upstream); err != nil {
		res.Code = http.StatusBadGateway // as Caddy answers, with the headers that are there
	}
	return res
}
