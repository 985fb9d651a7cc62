package caddyoauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// A service worker that passes a navigation on keeps its mode, and not its
// destination (Chromium 156).
func TestAServiceWorkersPassThroughIsANavigation(t *testing.T) {
	s := newPortal(t, "", nil)
	res := s.browser().do("GET", "/orders", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "same-origin")
	if res.Code != http.StatusFound {
		t.Errorf("%d %v", res.Code, res.Header())
	}
}

// isPage reports whether people can read an answer.
func isPage(res *httptest.ResponseRecorder) bool {
	return strings.HasPrefix(res.Header().Get("Content-Type"), "text/html") && strings.Contains(res.Body.String(), "<h1>")
}

func TestAFormThatIsSentWithoutASessionGetsAPageForPeople(t *testing.T) {
	s := newPortal(t, "", nil)
	form := func(referer, site string) []string {
		return append([]string{"Content-Type", formType, "Referer", referer, "Sec-Fetch-Site", site}, navigation[:4]...)
	}
	const draft = "https://api.example/orders/new?draft=1"
	gone := s.browser()
	gone.cookies["__Host-oauth"] = "ogs_" + strings.Repeat("A", 64)
	for name, res := range map[string]*httptest.ResponseRecorder{
		"never logged in":        s.browser().do("POST", "/save", form(draft, "same-origin")...),
		"its session is over":    gone.do("POST", "/save", form(draft, "same-origin")...),
		"an old browser's":       s.browser().do("POST", "/save", "Accept", "text/html", "Content-Type", formType, "Referer", draft),
		"back from a payment":    s.browser().do("POST", "/paid", form("https://bank.example/", "cross-site")...),
		"another host's referer": s.browser().do("POST", "/save", form("https://api.example.evil/x", "same-origin")...),
	} {
		if res.Code != http.StatusUnauthorized || !isPage(res) || !strings.HasPrefix(res.Header().Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: %d %v %s", name, res.Code, res.Header(), res.Body)
		}
		way := "/_oauth/login?return=%2forders%2fnew%3fdraft%3d1"
		if name == "back from a payment" || name == "another host's referer" {
			way = "/_oauth/login?return=%2f"
		}
		if !strings.Contains(strings.ToLower(res.Body.String()), `<a href="`+way+`">log in</a>`) {
			t.Errorf("%s: no way to %s: %s", name, way, res.Body)
		}
	}
}

func TestWhatPeopleMayNotDoOrSeeIsAPageAndWhatClientsMayNotIsNot(t *testing.T) {
	s := portalWith(t, "login\nrequire /admin/* claim groups admins\nrequire /write/* scope write\n"+endpoint, nil)
	b := s.browser().logIn()
	form := append([]string{"Content-Type", formType}, navigation[:4]...)
	for name, row := range map[string]struct {
		res   *httptest.ResponseRecorder
		words string
	}{
		"another site's form": {b.do("POST", "/save", append(form, "Sec-Fetch-Site", "cross-site")...), "did not come from a page of this site"},
		"a sister's form":     {b.do("POST", "/save", append(form, "Sec-Fetch-Site", "same-site", "Origin", "https://admin.example")...), "did not come from a page of this site"},
		"an old browser's":    {b.do("POST", "/save", "Accept", "text/html", "Origin", "null"), "did not come from a page of this site"},
		"a claim":             {b.do("GET", "/admin/", navigation...), "not among those"},
		"scope":               {b.do("GET", "/write/", navigation...), "what you were granted"},
	} {
		if row.res.Code != http.StatusForbidden || !isPage(row.res) || !strings.Contains(row.res.Body.String(), row.words) {
			t.Errorf("%s: %d %v %s", name, row.res.Code, row.res.Header(), row.res.Body)
		}
	}
	token := s.issuer.access("robot")
	for name, res := range map[string]*httptest.ResponseRecorder{
		"a script":         b.do("POST", "/save", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "cross-site"),
		"a client":         s.browser().do("GET", "/admin/", "Authorization", "Bearer "+token),
		"a client in HTML": s.browser().do("GET", "/admin/", "Authorization", "Bearer "+token, "Accept", "text/html"),
		"a frame":          s.browser().do("GET", "/", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"),
	} {
		if isPage(res) || res.Header().Get("Content-Type") != "application/json" || res.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %v %s", name, res.Code, res.Header(), res.Body)
		}
	}
	if len(s.saw) != 0 {
		t.Errorf("the upstream saw %v", s.saw[0].URL)
	}
}

// Amazon Cognito wants logout_uri, and Auth0's older address returnTo.
func TestALogOutHasTheParametersThatTheIssuerWants(t *testing.T) {
	s := newPortal(t, "logout_parameter logout_uri /_oauth/logged_out\nlogout_parameter returnTo https://www.example/bye\nlogout_parameter federated true\nlogout_parameter client_id another", nil)
	b := s.browser().logIn()
	at, err := url.Parse(b.do("POST", "/_oauth/logout", here...).Header().Get("Location"))
	if err != nil || !strings.HasPrefix(at.String(), s.issuer.URL+"/end?") {
		t.Fatal(at, err)
	}
	for name, want := range map[string]string{
		"logout_uri": "https://api.example/_oauth/logged_out", "returnTo": "https://www.example/bye", "federated": "true", "client_id": "another",
	} {
		if got := at.Query()[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
