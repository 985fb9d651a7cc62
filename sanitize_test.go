package caddyoauth

import (
	"net/http"
	"testing"
)

// Matchers compare methods by the letter, and many an upstream does not.
func TestAMethodThatCanBeReadInTwoWaysIsRefusedBeforeAnyRule(t *testing.T) {
	s := newPortal(t, "", nil)
	for method, want := range map[string]int{
		"delete": 400, "Delete": 400, "dELETE": 400, "get": 400, "GEt": 400, "pOST": 400, "connect": 400,
		"": 400, "GET ": 400, "GET\x00": 400, "GE\tT": 400, "GET,POST": 400, "ＤＥＬＥＴＥ": 400, "G/T": 400, "GET\xff": 400,
		"GET": 401, "DELETE": 401, "PROPFIND": 401, "VERSION-CONTROL": 401, "M-SEARCH": 401, "X_1": 401,
	} {
		r := connected(1, "x")
		r.Method, r.Header = method, http.Header{}
		res := s.serve(r)
		if res.Code != want || len(s.saw) > 0 {
			t.Errorf("%q: %d, and %d requests upstream", method, res.Code, len(s.saw))
		}
	}
	// What is the gateway's own takes no method by another name.
	for _, path := range []string{"/_oauth/login", "/_oauth/callback", "/_oauth/logout", "/_oauth/sessions", "/_oauth/backchannel_logout"} {
		for _, method := range []string{"get", "post", "Post"} {
			r := connected(1, "x")
			r.Method, r.Header, r.URL.Path = method, http.Header{}, path
			if res := s.serve(r); res.Code != 405 && res.Code != 404 || len(s.saw) > 0 {
				t.Errorf("%s %s: %d", method, path, res.Code)
			}
		}
	}
}
