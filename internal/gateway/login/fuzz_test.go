package login

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/credential"
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
		got := new(Login).returnTo(siteURL{scheme: "https", host: "app.example", mount: mount}, target)
		// As browsers read it (WHATWG URL): \ is /, and these signs are left out.
		at, err := site.Parse(strings.NewReplacer(`\`, "/", "\t", "", "\n", "", "\r", "").Replace(got))
		if err != nil || at.Scheme != "https" || at.Host != "app.example" || at.User != nil {
			t.Fatalf("%q with %q leads to %q, %v", target, mount, got, err)
		}
		if below, _, _ := strings.Cut(strings.TrimPrefix(got, mount), "?"); new(Login).Owns(below) && !strings.EqualFold(below, "/_oauth/sessions") {
			t.Fatalf("%q with %q leads back to the log-in: %q", target, mount, got)
		}
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
			if !credential.IsLoginCookie(l.CookieName(), strings.Trim(name, " \t")) {
				want = append(want, pair)
			}
		}
		if strings.TrimLeft(strings.Join(want, ";"), " ") != left && left != field {
			t.Fatalf("%q leaves %q", field, left)
		}
	})
}
