package forwardauth

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Whatever stands in the two headers: what is judged is what a server would
// read from a request line with the same words, and the headers are gone.
func FuzzForwardAuth(f *testing.F) {
	for _, s := range []struct{ remote, method, uri, more string }{
		{"127.0.0.1:1", "GET", "/a?b=c", ""}, {"[::1]:1", "GET", "/", ""}, {"[::ffff:127.0.0.1]:2", "post", "//a/%2e%2e", ""},
		{"192.0.2.1:1", "GET", "/", ""}, {"@", "GET", "/", ""}, {"127.0.0.1:1", "GET", "/", "/b"}, {"127.0.0.1:1", "G T", "/a b", ""},
		{"127.0.0.1:1", "GET", "/a%zz", ""}, {"127.0.0.1:1", "GET", "http://x/", ""}, {"127.0.0.1:1", "GET", "/a#b", ""}, {"127.0.0.1:1", "", "", ""},
	} {
		f.Add(s.remote, s.method, s.uri, s.more)
	}
	judge := &ForwardAuth{From: []string{"127.0.0.0/8"}}
	if err := judge.Provision(caddy.Context{Context: f.Context()}, caddy.NewReplacer(), nil); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, remote, method, uri, more string) {
		r := httptest.NewRequest(http.MethodTrace, "/question", nil)
		r.RemoteAddr = remote
		r.Header["X-Forwarded-Method"], r.Header["X-Forwarded-Uri"] = []string{method}, []string{uri}
		r.Header["X_forwarded_uri"] = []string{"/other"}
		if more != "" {
			r.Header["X-Forwarded-Uri"] = append(r.Header["X-Forwarded-Uri"], more)
		}
		err := judge.Restore(r)
		if len(r.Header) > 0 {
			t.Error("left: ", r.Header)
		}
		if err != nil {
			if r.Method != http.MethodTrace || r.URL.Path != "/question" || r.RequestURI != "/question" {
				t.Errorf("refused, and yet taken: %s %s", r.Method, r.URL)
			}
			if _, ok := err.(*verdict.Rejection); !ok {
				t.Errorf("no verdict: %v", err)
			}
			return
		}
		if more != "" || !strings.HasPrefix(remote, "127.") && !strings.HasPrefix(remote, "[") {
			t.Errorf("taken from %q with %q", remote, more)
		}
		read, err := http.ReadRequest(bufio.NewReader(strings.NewReader(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\n\r\n", method, uri))))
		if err != nil {
			t.Fatalf("%q %q is judged, and no server takes it: %v", method, uri, err)
		}
		if read.Method != r.Method || read.URL.Path != r.URL.Path || read.URL.RawQuery != r.URL.RawQuery || read.URL.RawPath != r.URL.RawPath ||
			read.RequestURI != r.RequestURI || r.URL.Host != "" || r.URL.Scheme != "" || r.URL.Opaque != "" {
			t.Errorf("%q %q is judged as %s %#v, and read as %s %#v", method, uri, r.Method, r.URL, read.Method, read.URL)
		}
	})
}
