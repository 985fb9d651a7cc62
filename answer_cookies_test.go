package caddyoauth

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/lenient"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// An upstream could log a browser out of its neighbour, or in as another user.
func TestAnUpstreamSetsNoCookieOfOurs(t *testing.T) {
	s := newPortal(t, "cookie __Host-app", nil)
	b := s.browser().logIn()
	key := benchKey(t, "ES256")
	plain := benchGateway(t, []*jwssign.Key{key}, nil)
	handle, sealed := session.NewHandle().Reveal(credential.SessionPrefix), strings.Repeat("Zm9v", 100)
	theirs := []string{"theme=dark; Path=/", "__Host-apple=1; Secure", "x=__Host-oauth", "__Host-app-login=1"}
	byForm := []string{
		"__Host-oauth=" + handle + "; Path=/; Secure", "any=" + handle, "=__Host-oauth=" + handle, "any=\"" + handle + "\"",
		"__Host-oauth-login-Ab3_-xyZ=" + sealed + "; Secure; Path=/", "=__Host-oauth-login-Ab3_-xyZ=" + sealed,
	}
	byName := []string{
		"__Host-app=; Max-Age=0; Path=/; Secure", " __Host-app = x", "__Host-app", "=__Host-app=", "__Host-app-login-Ab3_-xyZ=; Max-Age=0",
	}
	for name, row := range map[string]struct {
		g     *Gateway
		ours  []string
		names []string
	}{
		"a session":                    {s.Gateway, append(byForm, byName...), []string{"Cookie", "__Host-app=" + b.cookies["__Host-app"]}},
		"a session's gateway, a token": {s.Gateway, append(byForm, byName...), []string{"Authorization", "Bearer " + s.issuer.access("robot"), "Sec-Fetch-Site", "same-origin"}},
		"a gateway without log-in":     {plain, byForm, []string{"Authorization", "Bearer " + benchToken(t, key, 0), "Cookie", "theme=dark"}},
	} {
		for way, write := range waysToAnswer() {
			raw := httptest.NewRequest(http.MethodGet, "https://api.example/", nil)
			for n := 0; n < len(row.names); n += 2 {
				raw.Header.Add(row.names[n], row.names[n+1])
			}
			res := through(t, row.g, raw, func(w http.ResponseWriter, _ *http.Request) error {
				for _, line := range append(row.ours, theirs...) {
					w.Header().Add("Set-Cookie", line)
				}
				return write(w)
			})
			// What is in the header map now, and what has been sent.
			for kind, h := range map[string]http.Header{"left": res.Header(), "sent": res.Result().Header} {
				if got := h["Set-Cookie"]; fmt.Sprint(got) != fmt.Sprint(theirs) {
					t.Errorf("%s, %s, %s: %q", name, way, kind, got)
				}
			}
		}
	}
}

// waysToAnswer are those in which headers are sent, by name.
func waysToAnswer() map[string]func(http.ResponseWriter) error {
	return map[string]func(http.ResponseWriter) error{
		"a status":     func(w http.ResponseWriter) error { w.WriteHeader(http.StatusNotModified); return nil },
		"a body":       func(w http.ResponseWriter) error { _, err := w.Write([]byte("x")); return err },
		"a flush":      func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"an old flush": func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
		"a copy": func(w http.ResponseWriter) error {
			_, err := io.Copy(w, io.LimitReader(strings.NewReader("x"), 1))
			return err
		},
		"nothing":  func(http.ResponseWriter) error { return nil },
		"an error": func(http.ResponseWriter) error { return caddyhttp.Error(http.StatusBadGateway, nil) },
		"an early hint": func(w http.ResponseWriter) error {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusOK)
			return nil
		},
		"a bad gateway":  func(w http.ResponseWriter) error { w.WriteHeader(http.StatusBadGateway); return nil },
		"another status": func(w http.ResponseWriter) error { w.WriteHeader(http.StatusOK); return nil },
	}
}

func TestTheCookieThatTheGatewayTakesAwayItselfGoes(t *testing.T) {
	s := newPortal(t, "}\nallow_anonymous\nsession {\nstore memory", nil)
	raw := httptest.NewRequest(http.MethodGet, "https://api.example/", nil)
	raw.Header.Set("Cookie", "__Host-oauth="+session.NewHandle().Reveal(credential.SessionPrefix))
	res := through(t, s.Gateway, raw, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Add("Set-Cookie", "__Host-oauth=x")
		w.WriteHeader(http.StatusOK)
		return nil
	})
	if set := res.Header()["Set-Cookie"]; len(set) != 1 || !strings.Contains(set[0], "__Host-oauth=; Path=/; Max-Age=0") {
		t.Error(set)
	}
}

// Whatever an upstream sets, the browser does not come back with a cookie that
// this gateway, or another one, would read.
func FuzzSetCookie(f *testing.F) {
	handle, sealed := session.NewHandle().Reveal(credential.SessionPrefix), strings.Repeat("Zm9v", 100)
	for _, line := range []string{
		"__Host-oauth=x", "=__Host-oauth=x", "\t__Host-oauth =", "a=b; __Host-oauth=x", "a=" + handle, handle, "__Host-oauth-login-abcdefgh=" + sealed,
		"__Host-x-login-abcdefgh=" + sealed + ";", "==__Host-oauth=x", "; __Host-oauth",
	} {
		f.Add(line)
	}
	places, err := credential.New(nil, "__Host-oauth", false)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if places.SetsOurs(line) {
			t.Skip("taken off")
		}
		// As browsers do: the first part, without a name only its value.
		pair, _, _ := strings.Cut(line, ";")
		sent := strings.Trim(pair, " \t")
		if name, value, two := strings.Cut(pair, "="); two {
			if sent = strings.Trim(name, " \t") + "=" + strings.Trim(value, " \t"); strings.Trim(name, " \t") == "" {
				sent = strings.Trim(value, " \t")
			}
		}
		for name := range lenient.Cookies(sent) {
			if credential.IsLoginCookie("__Host-oauth", name) {
				t.Fatalf("%q comes back as %q, and is ours", line, sent)
			}
		}
		h := http.Header{"Cookie": {sent}}
		if lenient.DropCookies(h, places.UnreadCookie); len(h["Cookie"]) == 0 && strings.TrimLeft(sent, " ") != "" {
			t.Fatalf("%q comes back as %q, which is a gateway's", line, sent)
		}
	})
}
