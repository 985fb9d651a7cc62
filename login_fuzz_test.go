package caddyoauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Wherever a log-in is asked to lead, the browser stays on this site, and
// outside of the log-in itself.
func FuzzReturnAddress(f *testing.F) {
	for _, target := range []string{
		"/", "/a?b=c", "//evil.example", `/\evil.example`, "/\t/evil.example", "https://evil.example", "/%5Cevil.example", "/%2f/evil.example",
		"/_oauth/login", "/_OAUTH/x", "/a/../..//evil.example", "/.//evil.example", "javascript:alert(1)", "/é", "\\\\evil.example",
	} {
		f.Add(target, "")
		f.Add(target, "/app")
	}
	site, err := url.Parse("https://app.example/from/here")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, target, mount string) {
		got := new(Login).returnTo(outside{scheme: "https", host: "app.example", mount: mount}, target)
		// As browsers read it (WHATWG URL): \ is /, and these signs are left out.
		at, err := site.Parse(strings.NewReplacer(`\`, "/", "\t", "", "\n", "", "\r", "").Replace(got))
		if err != nil || at.Scheme != "https" || at.Host != "app.example" || at.User != nil {
			t.Fatalf("%q with %q leads to %q, %v", target, mount, got, err)
		}
		if below, _, _ := strings.Cut(strings.TrimPrefix(got, mount), "?"); new(Login).owns(below) && !strings.EqualFold(below, "/_oauth/sessions") {
			t.Fatalf("%q with %q leads back to the log-in: %q", target, mount, got)
		}
	})
}

// Whatever comes to the callback, with whatever cookie: no panic, no failure,
// no session, and nobody is asked, unless it is the log-in that was begun.
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
	f.Fuzz(func(t *testing.T, query, cookie, sealed string) {
		s.TB = t
		if cookie == name && sealed == value {
			t.Skip("the log-in itself")
		}
		raw := httptest.NewRequest(http.MethodGet, "https://api.example/_oauth/callback", nil)
		raw.URL.RawQuery = query
		raw.Header["Cookie"] = []string{cookie + "=" + sealed}
		res := s.serve(raw)
		if res.Code != http.StatusBadRequest || strings.Contains(res.Header().Get("Set-Cookie"), sessionPrefix) {
			t.Fatalf("%q with %q=%q: %d %v", query, cookie, sealed, res.Code, res.Header())
		}
		if n := s.issuer.count(); n != 0 {
			t.Fatalf("the issuer was asked %d times", n)
		}
		if len(query) > 12 && !strings.Contains(pageText, query) && strings.Contains(res.Body.String(), query) {
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

// Whatever stands in a Cookie field, none of ours is left in it, and what is not
// ours stays.
func FuzzCookieField(f *testing.F) {
	for _, field := range []string{
		"", "a=b", "__Host-oauth=x", "a=b; __Host-oauth=x; c=d", "__Host-oauth=x;a=b", " __Host-oauth = x ; a=\"; \"", "__Host-oauth-login-x=y; __Host-oauthx=z",
		";;__Host-oauth=x;;", "__Host-oauth", "=__Host-oauth",
	} {
		f.Add(field)
	}
	f.Fuzz(func(t *testing.T, field string) {
		l, h := new(Login), http.Header{"Cookie": {field}}
		l.strip(h)
		left := strings.Join(h["Cookie"], ";")
		if _, n := l.find(h); n != 0 {
			t.Fatalf("%q leaves %q", field, left)
		}
		if begun := l.begun(h, nil); len(begun) > 0 {
			t.Fatalf("%q leaves %q", field, left)
		}
		var want []string
		for pair := range strings.SplitSeq(field, ";") {
			name, _, _ := strings.Cut(pair, "=")
			if !isLoginCookie(l.cookieName(), strings.Trim(name, " \t")) {
				want = append(want, pair)
			}
		}
		if strings.TrimLeft(strings.Join(want, ";"), " ") != left && left != field {
			t.Fatalf("%q leaves %q", field, left)
		}
	})
}
