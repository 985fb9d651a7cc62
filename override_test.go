package caddyoauth

import "testing"

// A link on another site, and a replay, must not do by a GET what an upstream
// takes for a DELETE.
func TestAReadThatAnUpstreamMayTakeForAWriteIsNone(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser().logIn()
	for target, want := range map[string]int{
		"/orders?_method=DELETE": 403, "/orders?x=1;%5fmethod=put": 403, "/orders?_method=a%20b": 403,
		"/orders?_method=HEAD": 200, "/orders?_method=": 200, "/orders?method=DELETE": 200,
	} {
		if code := b.do("GET", target, "Sec-Fetch-Site", "cross-site").Code; code != want {
			t.Errorf("%s from another site: %d, want %d", target, code, want)
		}
		if code := b.do("GET", target, "Sec-Fetch-Site", "same-origin").Code; code != 200 {
			t.Errorf("%s from this site: %d", target, code)
		}
	}
	for _, header := range []string{"X-HTTP-Method-Override", "X-Http-Method", "X_Method_Override"} {
		r := unfinished(false, "GET", "/orders", "Cookie", "__Host-oauth="+b.cookies["__Host-oauth"])
		r.Header[header] = []string{"DELETE"}
		wantTooEarly(t, header, s.serve(r))
	}
}
