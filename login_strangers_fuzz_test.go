package caddyoauth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/credential"
)

// Whatever comes to the callback, with whatever cookie: no panic, no failure,
// no session, and the issuer is not asked, unless it is the log-in that was begun.
func FuzzCallback(f *testing.F) {
	s := newPortal(f, "", nil)
	b := s.browser()
	asked := b.begin("/orders")
	name, value := "", ""
	for name, value = range b.cookies {
	}
	state := asked.Get("state")
	f.Add("code=x&state="+state, name, value[:len(value)-1])
	f.Add("code=x&state="+state, strings.ToUpper(name), value)
	f.Add("code=x&state="+state+"&state="+state, name, value)
	f.Add("code=x&state="+state[:8], name, value)
	f.Add("error=access_denied&state=%", name, "")
	f.Add("", "__Host-oauth-login-", "AQ")
	f.Add("iss=x;state=y", name, "\x00")
	res := s.gate.send(http.MethodGet, "/_oauth/callback", "")
	page := res.Body.String()
	f.Fuzz(func(t *testing.T, query, cookie, sealed string) {
		s.TB = t
		if cookie == name && sealed == value {
			t.Skip("the log-in itself")
		}
		raw := httptest.NewRequest(http.MethodGet, "https://api.example/_oauth/callback", nil)
		raw.URL.RawQuery = query
		raw.Header["Cookie"] = []string{cookie + "=" + sealed}
		res := s.serve(raw)
		if res.Code != http.StatusBadRequest || strings.Contains(res.Header().Get("Set-Cookie"), credential.SessionPrefix) {
			t.Fatalf("%q with %q=%q: %d %v", query, cookie, sealed, res.Code, res.Header())
		}
		if n := s.issuer.count(); n != 0 {
			t.Fatalf("the issuer was asked %d times", n)
		}
		if len(query) > 12 && !strings.Contains(page, query) && strings.Contains(res.Body.String(), query) {
			t.Fatal("the page shows the query")
		}
		s.logs.TakeAll()
	})
}

// Whatever a logout token holds, a session ends only for one that is good.
func FuzzLogoutToken(f *testing.F) {
	s := newPortal(f, "", nil)
	b := s.browser().logIn()
	good := map[string]any{"jti": "x", "nonce": "y", "sub": "alice", "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}
	signed := s.sign("logout+jwt", good)
	f.Add("logout_token="+signed, formType)
	f.Add("logout_token="+signed[:len(signed)-2], formType)
	f.Add("logout_token="+strings.ToUpper(signed), formType)
	f.Add("logout_token=..", formType)
	f.Add("logout_token=eyJhbGciOiJub25lIn0.e30.", formType)
	f.Add("a=b&logout_token=%", formType+"; charset=utf-8")
	f.Add("{}", "application/json")
	f.Fuzz(func(t *testing.T, body, kind string) {
		s.TB = t
		res := s.gate.send(http.MethodPost, "/_oauth/backchannel_logout", body, "Content-Type", kind)
		if res.Code != http.StatusBadRequest || res.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%q: %d %v", body, res.Code, res.Header())
		}
		if b.status() != http.StatusOK {
			t.Fatalf("%q ended a session", body)
		}
		s.logs.TakeAll()
		s.saw = nil
	})
}
