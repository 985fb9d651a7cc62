package caddyoauth

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/credential"
)

// What a browser keeps of log-ins that have begun.
const (
	mostBegun  = 16   // cookies
	begunBytes = 4096 // in them
)

// Each of the many was answered with a deletion.
func TestARequestFullOfBegunLogInsIsAnsweredWithFewCookies(t *testing.T) {
	s := newPortal(t, "", nil)
	for _, n := range []int{16, 800} {
		var field strings.Builder
		for i := range n {
			fmt.Fprintf(&field, "__Host-oauth-login-%08d=A; ", i)
		}
		res := s.browser().do(http.MethodGet, "/_oauth/login", "Cookie", field.String())
		if gone := len(res.Result().Cookies()) - 1; res.Code != http.StatusFound || gone > 24 {
			t.Errorf("%d begun log-ins: %d with %d deletions", n, res.Code, gone)
		}
	}
}

// A browser that opens all its tabs at once begins a log-in in each before it
// has a cookie of any.
func TestTabsThatAreOpenedAtOnceAllComeBack(t *testing.T) {
	s := newPortal(t, "", nil)
	all := s.browser()
	type begun struct {
		asked  url.Values
		target string
	}
	var tabs []begun
	for n := range 20 {
		one := s.browser()
		target := fmt.Sprintf("/orders?tab=%d", n)
		tabs = append(tabs, begun{one.begin(target), target})
		maps.Copy(all.cookies, one.cookies)
	}
	if len(all.cookies) != 20 {
		t.Fatal(all.cookies)
	}
	for _, tab := range tabs {
		one := s.browser()
		maps.Copy(one.cookies, all.cookies)
		s.asked = tab.asked
		if res := one.back(tab.asked); res.Code != http.StatusSeeOther || res.Header().Get("Location") != tab.target {
			t.Errorf("%s does not come back: %d %v", tab.target, res.Code, res.Header())
		}
	}
	all.begin("/one/more")
	if n := len(all.cookies); n > mostBegun {
		t.Errorf("%d cookies stay", n)
	}
}

// A neighbour's name may go on where a begun log-in's would, and is none.
func TestALongerNameOfANeighbourIsNoBegunLogIn(t *testing.T) {
	for name, want := range map[string]bool{
		"__Host-oauth-login-Ab3_-xyZ": true, "__Host-oauth-login-": false, "__Host-oauth-login-app": false,
		"__Host-oauth-login-Ab3_-xyZ9": false, "__Host-oauth-login-Ab3.-xyZ": false, "__Host-oauth-login-b-login-Ab3_-xyZ": false,
	} {
		if credential.IsBegunBeside("__Host-oauth", name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	s := newPortal(t, "", nil)
	b := s.browser()
	b.cookies["__Host-oauth-login-app"] = "theirs"
	for range mostBegun + 3 {
		b.begin("/orders")
	}
	if b.cookies["__Host-oauth-login-app"] != "theirs" {
		t.Error("a neighbour's cookie is gone")
	}
}
