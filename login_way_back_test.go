package caddyoauth

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Links into Grafana, Kibana and Prometheus ended at the first page.
func TestADeepLinkComesBackWhateverIsInItsQuery(t *testing.T) {
	s := newPortal(t, "", nil)
	long := "/explore?panes=" + url.QueryEscape(strings.Repeat(`{"datasource":"prom","expr":"sum by (pod) (rate(http_requests_total{job=\"shop\"}[5m]))"},`, 12))
	for target, want := range map[string]string{
		`/graph?g0.expr=up{instance=~%22web-\d+\.example%22}&g0.tab=1`:          "",
		`/explore?left={%22expr%22:%22{job=\%22test\%22}%20|%20line_format%22}`: "",
		`/a?b=//evil.example/\\evil.example&c=?`:                                "",
		long:                                                                    "",
		"/a?" + strings.Repeat("b", 4000):                                       "",
		"/a?" + strings.Repeat("b", 9000):                                       "/a", // its path, then
		"/" + strings.Repeat("a", 9000):                                         "/",
		"/r?" + random(6000):                                                    "/r",
		`/\evil.example`:                                                        "/",
		"//evil.example/x?y":                                                    "/",
		"/_oauth/login?return=/_oauth/login?/x":                                 "/",
	} {
		if want == "" {
			want = target
		}
		b := s.browser()
		res := b.do(http.MethodGet, "/_oauth/login?return="+url.QueryEscape(target), navigation...)
		at, err := url.Parse(res.Header().Get("Location"))
		if err != nil || res.Code != http.StatusFound {
			t.Fatal(res.Code, s.logged())
		}
		for name, value := range b.cookies {
			if len(name)+len(value) > 4096 {
				t.Errorf("%.60s: browsers do not keep a cookie of %d bytes", target, len(name)+len(value))
			}
		}
		s.asked = at.Query()
		if res := b.back(s.asked); res.Code != http.StatusSeeOther || res.Header().Get("Location") != want {
			t.Errorf("%.100s comes back to %.100s (%d)", target, res.Header().Get("Location"), res.Code)
		}
	}
}

// random does not get shorter by packing it.
func random(n int) string {
	var text strings.Builder
	for state := uint32(1); text.Len() < n; {
		state = state*1664525 + 1013904223
		text.WriteByte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[state>>26])
	}
	return text.String()
}

// A browser is started again and restores its tabs, whose session has ended.
func TestTabsThatAreOpenedOneByOneAllComeBack(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser()
	var tabs []url.Values
	for n := range 12 {
		tabs = append(tabs, b.begin(fmt.Sprintf("/orders/2026/november/detail?tab=%d", n)))
	}
	sum := 0
	for name, value := range b.cookies {
		sum += len(name) + len(value)
	}
	if len(b.cookies) != 12 || sum > begunBytes {
		t.Errorf("%d cookies of %d bytes", len(b.cookies), sum)
	}
	for n, asked := range tabs {
		s.asked = asked
		want := fmt.Sprintf("/orders/2026/november/detail?tab=%d", n)
		if res := b.back(asked); res.Code != http.StatusSeeOther || res.Header().Get("Location") != want {
			t.Errorf("tab %d: %d %s; log: %s", n, res.Code, res.Header().Get("Location"), s.logged())
		}
	}
}

// What the issuer sees of a log-in tells nothing of what it does not see.
func TestStateNonceAndVerifierAreNotMadeOfEachOther(t *testing.T) {
	s := newPortal(t, "", nil)
	seen := map[string]bool{}
	for range 3 {
		b := s.browser()
		asked := b.begin("/orders")
		s.issuer.take()
		b.back(asked)
		verifier := s.issuer.take()[0].Form.Get("code_verifier")
		for _, text := range []string{asked.Get("state"), asked.Get("nonce"), verifier} {
			if len(text) != 43 || seen[text] {
				t.Errorf("%q is not 256 bits, or was there before", text)
			}
			seen[text] = true
		}
	}
}

func TestACallbackWithoutItsLogInLeadsOnWhereTheBrowserIsLoggedIn(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser()
	asked := b.begin("/orders")
	b.back(asked)
	handle := b.cookies["__Host-oauth"]
	s.issuer.take()
	for name, request := range map[string]url.Values{
		"the back button": asked, "a state that has expired": {"state": {strings.Repeat("x", 43)}, "redirect_uri": asked["redirect_uri"]},
	} {
		if res := b.back(request); res.Code != http.StatusSeeOther || res.Header().Get("Location") != "/" {
			t.Errorf("%s: %d %v", name, res.Code, res.Header())
		}
	}
	if b.cookies["__Host-oauth"] != handle || b.status() != http.StatusOK || s.issuer.count() != 0 {
		t.Error("the session is another, or the issuer was asked")
	}
	b.cookies["__Host-oauth"] = "ogs_" + strings.Repeat("A", 64)
	b.want("a session that is none", b.back(asked), http.StatusBadRequest, "This log-in has ended")
}

// Keycloak ends the log-ins of all tabs but the one that was faster.
func TestATabThatWasSlowerThanAnotherLeadsOn(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser()
	slow := b.begin("/tab-two?x=1")
	if res := b.back(b.begin("/tab-one")); res.Code != http.StatusSeeOther {
		t.Fatal(res.Code, s.logged())
	}
	handle := b.cookies["__Host-oauth"]
	for failure, description := range map[string]string{"temporarily_unavailable": "authentication_expired", "access_denied": "", "server_error": "x"} {
		one := &tab{s, maps.Clone(b.cookies)}
		res := one.back(slow, "error", failure, "error_description", description, "code", "")
		if res.Code != http.StatusSeeOther || res.Header().Get("Location") != "/tab-two?x=1" || one.cookies["__Host-oauth"] != handle {
			t.Errorf("%s: %d %v", failure, res.Code, res.Header())
		}
	}
	b.want("another issuer's answer", b.back(slow, "iss", "https://evil.example", "error", "access_denied", "code", ""), 400, "did not come from the service")
}

func TestALogInThatTheIssuersPageHasForgottenBeginsAgainOnce(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser()
	late := func(asked url.Values) (int, url.Values) {
		res := b.back(asked, "error", "temporarily_unavailable", "error_description", "authentication_expired", "code", "")
		at, _ := url.Parse(res.Header().Get("Location"))
		s.asked = at.Query()
		return res.Code, s.asked
	}
	code, again := late(b.begin("/late?x=1"))
	if code != http.StatusFound || again.Get("state") == "" {
		t.Fatalf("%d; log: %s", code, s.logged())
	}
	if res := b.back(again); res.Code != http.StatusSeeOther || res.Header().Get("Location") != "/late?x=1" {
		t.Errorf("the second one: %d %v; log: %s", res.Code, res.Header(), s.logged())
	}
	b = s.browser()
	_, again = late(b.begin("/late"))
	if code, _ = late(again); code != http.StatusServiceUnavailable {
		t.Errorf("twice in a row: %d, want a page", code)
	}
}
