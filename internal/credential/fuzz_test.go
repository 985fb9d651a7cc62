package credential

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"
)

var (
	bearer     = regexp.MustCompile(`^(?i:bearer) +([A-Za-z0-9._~+/-]+=*)$`)
	wholeToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)
)

// Whatever stands in the places for tokens, at most one token68 is found, and
// in the default place exactly what RFC 6750 §2.1 has there. Behind the gateway
// no credential is left but the one that was found.
func FuzzCredential(f *testing.F) {
	for _, s := range []struct{ a, b, cookie, query string }{
		{"Bearer abc", "", "", ""}, {"bearer   a.b.c==", "", "at=x", "token=y"}, {"Bearer a, Bearer b", "", "", ""},
		{"Basic dTpw", "", "", ""}, {"Bearer a", "Bearer b", "", ""}, {"", "", "at=a; at=b", "token=a&token=b"},
		{"Bearer =", "", `at="q"`, "%74oken=%61"}, {"Bearer a b", "", "at=a; b=1", "a=1&token=&b;c=%zz"}, {"Bearer\ta", "", "at", "token"},
	} {
		f.Add(s.a, s.b, s.cookie, s.query)
	}
	standard, err := New(nil, "", false)
	if err != nil {
		f.Fatal(err)
	}
	all, err := New([]Credential{{Cookie: "at"}, {Header: "Authorization"}, {Header: "X-Token"}, {Query: "token"}}, "", false)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a, b, cookie, query string) {
		request := func() *http.Request {
			r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/", RawQuery: query}, Header: http.Header{}}
			for name, value := range map[string]string{"Authorization": a, "X-Token": b, "Cookie": cookie} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			return r
		}
		want := ""
		if m := bearer.FindStringSubmatch(a); m != nil {
			want = m[1]
		}
		found, err := standard.Find(request())
		if found.Token != want && err == nil || (err == nil) != (want != "" || a == "") {
			t.Errorf("Authorization: %q: found %q, %v; want %q", a, found.Token, err, want)
		}
		for _, strip := range []bool{false, true} {
			r := request()
			found, err = all.Find(r)
			if err != nil {
				continue
			}
			if found.Token != "" && !wholeToken.MatchString(found.Token) {
				t.Errorf("found %q, which is not token68", found.Token)
			}
			found.PrepareForUpstream(r, all, strip)
			left, err := all.Find(r)
			if err != nil || left.Token != found.Token && !strip || strip && left.Token != "" {
				t.Errorf("found %q, but behind the gateway %q, %v", found.Token, left.Token, err)
			}
		}
	})
}
