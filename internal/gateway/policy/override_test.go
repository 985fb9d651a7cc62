package policy

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestWhatARequirementLooksAtIsKnown(t *testing.T) {
	for text, want := range map[string]looks{
		`{"method":["GET"]}`:                                   atMethod,
		`{"path":["/a"],"query":{"a":["b"]}}`:                  atPath | atQuery,
		`{"not":[{"host":["a"]},{"path_regexp":{}}]}`:          atHost | atPath,
		`{"header":{"X-A":["b"]},"remote_ip":{}}`:              atNothing,
		`{"header":{"hOST":["b"]}}`:                            atHost,
		`{"not":[{"header_regexp":{"Host":{"pattern":"b"}}}]}`: atHost,
		`{"expression":"true"}`:                                atAnything,
		`{"somebodys":{}}`:                                     atAnything,
		`{"not":"what nobody can read"}`:                       atAnything,
		`{"header":"neither","protocol":"https","tls":{}}`:     atAnything,
	} {
		if got := (&Requirement{Match: rawSets(t, text)}).looks(); got != want {
			t.Errorf("%s: %b, want %b", text, got, want)
		}
	}
}

func TestAHostThatCanBeReadInTwoWaysIsNoPlainOne(t *testing.T) {
	for _, host := range []string{
		"a", "api.example", "API.example:8080", "a_b-c.example:", "192.0.2.1", "[2001:db8::1]", "[2001:db8::1]:443", "xn--bcher-kva.example",
	} {
		if !isPlainHost(host) {
			t.Errorf("%s is refused", host)
		}
	}
	for _, host := range []string{
		"api.example.", "api.example.:80", ".api.example", "api..example", "api%2eexample", "x@api.example", "api.example:80:80", "api.example:x",
		"[api.example]", "[::1", "[::1]x", "[::1%25eth0]", "ａpi.example", "api。example", "api.example/", "api.example,b", "",
	} {
		if isPlainHost(host) {
			t.Errorf("%q passes", host)
		}
	}
}

// Whatever a client writes, the methods that it may mean are a few tokens.
func FuzzOtherMethods(f *testing.F) {
	f.Add("X-HTTP-Method-Override", "delete", "_method=PUT")
	f.Add("x_http_method", "GET, DELETE", "a;%5Fmethod=%zz")
	f.Fuzz(func(t *testing.T, name, value, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header = http.Header{name: {value, "PATCH"}}
		r.URL = &url.URL{Path: "/", RawQuery: query}
		methods, _ := otherMethods(r)
		if len(methods) > mostMethods {
			t.Errorf("%d methods", len(methods))
		}
		for _, method := range methods {
			if !IsMethod(method) || method == "GET" || method != strings.ToUpper(method) {
				t.Errorf("%q", method)
			}
		}
		if r.Method != http.MethodGet {
			t.Error(r.Method)
		}
	})
}

func rawSets(t *testing.T, text string) (sets caddyhttp.RawMatcherSets) {
	t.Helper()
	if err := json.Unmarshal([]byte("["+text+"]"), &sets); err != nil {
		t.Fatal(err)
	}
	return sets
}
