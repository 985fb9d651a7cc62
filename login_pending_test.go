package caddyoauth

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// manyBegun is a Cookie field as long as servers take them, full of what looks
// like log-ins that have begun.
func manyBegun(n int) string {
	var field strings.Builder
	for i := range n {
		fmt.Fprintf(&field, "__Host-oauth-login-%08d=A; ", i)
	}
	return strings.TrimSuffix(field.String(), "; ")
}

// Each begun log-in was looked for among all of them, and each answered with a
// deletion: one request with a full header took a fifth of a second.
func TestBegunLogInsCostNoMoreHoweverManyARequestBrings(t *testing.T) {
	s := newPortal(t, "", nil)
	vault, err := s.keeper.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	allocated := map[int]float64{}
	for _, n := range []int{mostLooked, 50 * mostLooked} {
		raw := httptest.NewRequest(http.MethodGet, "https://api.example/_oauth/login", nil)
		raw.Header.Set("Cookie", manyBegun(n))
		allocated[n] = testing.AllocsPerRun(5, func() { s.Login.tooMany(raw, vault, 0) })
		raw.RequestURI, raw.RemoteAddr = "/_oauth/login", s.address+":4711"
		res := s.serve(raw)
		if gone := len(res.Result().Cookies()) - 1; res.Code != http.StatusFound || gone > mostLooked {
			t.Errorf("%d begun log-ins: %d with %d deletions", n, res.Code, gone)
		}
	}
	if few, many := allocated[mostLooked], allocated[50*mostLooked]; many > few {
		t.Errorf("%v allocations for %d, and %v for fifty times as many", few, mostLooked, many)
	}
}

// A browser that opens all its tabs at once begins a log-in in each before it
// has a cookie of any.
func TestTabsThatAreOpenedAtOnceAllComeBack(t *testing.T) {
	s := newPortal(t, "", nil)
	all := s.browser()
	type begun struct{ state, target string }
	var tabs []begun
	for n := range 12 {
		one := s.browser()
		target := fmt.Sprintf("/orders?tab=%d", n)
		tabs = append(tabs, begun{one.begin(target).Get("state"), target})
		maps.Copy(all.cookies, one.cookies)
	}
	if len(all.cookies) != 12 {
		t.Fatal(all.cookies)
	}
	vault, err := s.keeper.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	raw := httptest.NewRequest(http.MethodGet, "https://api.example/", nil)
	for name, value := range all.cookies {
		raw.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for _, tab := range tabs {
		if p := s.Login.pendingOf(raw, vault, tab.state); p == nil || p.Return != tab.target {
			t.Errorf("%s does not come back: %v", tab.target, p)
		}
	}
	all.begin("/one/more")
	if n := len(all.cookies); n > mostPending {
		t.Errorf("%d cookies stay", n)
	}
}

// A neighbour's name may go on where a begun log-in's would, and is none.
func TestALongerNameOfANeighbourIsNoBegunLogIn(t *testing.T) {
	for name, want := range map[string]bool{
		"__Host-oauth-login-Ab3_-xyZ": true, "__Host-oauth-login-": false, "__Host-oauth-login-app": false,
		"__Host-oauth-login-Ab3_-xyZ9": false, "__Host-oauth-login-Ab3.-xyZ": false, "__Host-oauth-login-b-login-Ab3_-xyZ": false,
	} {
		if isBegunBeside(defaultCookie, name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	if err := (&Login{Cookie: "__Host-oauth-login-Ab3_-xyZ"}).checkWords(); err == nil || !strings.Contains(err.Error(), "__Host-app") {
		t.Error(err)
	}
	s := newPortal(t, "", nil)
	b := s.browser()
	b.cookies["__Host-oauth-login-app"] = "theirs"
	for range 8 {
		b.begin("/orders")
	}
	if b.cookies["__Host-oauth-login-app"] != "theirs" {
		t.Error("a neighbour's cookie is gone")
	}
}

// BenchmarkBegunLogIns is a request that begins a log-in, with none before it
// and with as many as fit into a header. The second may cost what it takes to
// walk over the field.
func BenchmarkBegunLogIns(b *testing.B) {
	s := newPortal(b, "", nil)
	vault, err := s.keeper.Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{0, mostLooked, 50 * mostLooked} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			raw := httptest.NewRequest(http.MethodGet, "https://api.example/_oauth/login", nil)
			raw.Header.Set("Cookie", manyBegun(n))
			b.ReportAllocs()
			for b.Loop() {
				s.Login.tooMany(raw, vault, 0)
			}
		})
	}
}
