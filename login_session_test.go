package caddyoauth

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// A session's token runs out, and the next request is served with a new one.
func TestASessionIsRefreshedBehindItsCookie(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser().logIn()
	s.issuer.take()
	b.status()
	s.skip(accessLife + time.Second)
	if code := b.status(); code != http.StatusOK {
		t.Fatal(code, s.logged())
	}
	asked := s.issuer.take()
	if len(asked) != 1 || asked[0].Form.Get("refresh_token") != "refresh-token-of-the-issuer" {
		t.Errorf("asked: %v", asked)
	}
	if s.saw[0].Header.Get("Authorization") == s.saw[1].Header.Get("Authorization") {
		t.Error("the same token again")
	}
}

func TestASessionThatHasEndedIsNoneAndItsCookieGoes(t *testing.T) {
	s := newPortal(t, "", nil)
	for name, value := range map[string]string{
		"unknown":                session.NewHandle().Reveal(credential.SessionPrefix),
		"not spelled as one":     "x",
		"a reference token":      s.gate.token("orders").AccessToken,
		"its handle as a cookie": credential.SessionPrefix + strings.TrimPrefix(s.gate.token("orders").AccessToken, credential.AccessPrefix),
	} {
		b := s.browser()
		b.cookies["__Host-oauth"] = value
		if name == "a reference token" {
			b.cookies["__Host-oauth"] = "x" + value
		}
		if code := b.status(); code != http.StatusUnauthorized || len(b.cookies) != 0 {
			t.Errorf("%s: %d, cookies %v", name, code, b.cookies)
		}
		b.cookies["__Host-oauth"] = value
		if at := b.begin("/orders"); at.Get("state") == "" {
			t.Errorf("%s: a click is not sent to log in", name)
		}
	}
	if len(s.saw) != 0 {
		t.Error("the upstream was asked")
	}
}

// What stands for a browser's session counts in its cookie alone: there the
// checks are that a cookie needs.
func TestASessionsHandleIsNoToken(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser().logIn()
	handle := b.cookies["__Host-oauth"]
	api := s.browser()
	for name, headers := range map[string][]string{
		"as a Bearer token":      {"Authorization", "Bearer " + handle},
		"as a reference token":   {"Authorization", "Bearer " + credential.AccessPrefix + strings.TrimPrefix(handle, credential.SessionPrefix)},
		"in another header":      {"X-Token", handle},
		"in another cookie":      {"Cookie", "mine=" + handle},
		"twice":                  {"Cookie", "__Host-oauth=" + handle + "; __Host-oauth=" + handle},
		"under another spelling": {"Cookie", "__host-oauth=" + handle},
	} {
		if code := api.do("GET", "/orders", headers...).Code; code != 401 && code != 400 {
			t.Errorf("%s: %d", name, code)
		}
	}
	if code := api.do("GET", "/orders?t="+handle).Code; code != 400 {
		t.Errorf("in the query: %d", code)
	}
	if len(s.saw) != 0 {
		t.Errorf("the upstream saw %v", s.saw[0].Header)
	}
	s.hides([]string{handle})
}

func TestATokenInTheHeaderWinsOverTheCookie(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser().logIn()
	own := s.issuer.access("robot")
	if code := b.do("POST", "/orders", "Authorization", "Bearer "+own).Code; code != 200 {
		t.Fatal(code)
	}
	if h := s.saw[0].Header; h.Get("Authorization") != "Bearer "+own || h.Get("Cookie") != "" {
		t.Errorf("the upstream gets %v", h)
	}
}

func TestARequestThatChangesSomethingComesFromThisSite(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser().logIn()
	socket := []string{"Upgrade", "websocket", "Connection", "Upgrade"}
	for name, row := range map[string]struct {
		method  string
		headers []string
		want    int
	}{
		"this site's form":          {"POST", []string{"Sec-Fetch-Site", "same-origin", "Origin", "null"}, 200},
		"this site's origin":        {"PUT", []string{"Origin", "https://api.example"}, 200},
		"a neighbour":               {"POST", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://api.example"}, 403},
		"another site":              {"DELETE", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a bookmark":                {"POST", []string{"Sec-Fetch-Site", "none"}, 403},
		"another origin":            {"POST", []string{"Origin", "https://evil.example"}, 403},
		"the same host, plain":      {"POST", []string{"Origin", "http://api.example"}, 403},
		"another port":              {"POST", []string{"Origin", "https://api.example:8443"}, 403},
		"two origins":               {"POST", []string{"Origin", "https://api.example", "Origin", "https://evil.example"}, 403},
		"neither":                   {"PATCH", nil, 403},
		"a method nobody knows":     {"FROB", nil, 403},
		"a socket of another site":  {"GET", append([]string{"Origin", "https://evil.example"}, socket...), 403},
		"a socket of this site":     {"GET", append([]string{"Origin", "https://api.example"}, socket...), 200},
		"a read from anywhere":      {"GET", []string{"Sec-Fetch-Site", "cross-site"}, 200},
		"a look at what is allowed": {"OPTIONS", nil, 200},
	} {
		if code := b.do(row.method, "/orders", row.headers...).Code; code != row.want {
			t.Errorf("%s: %d, want %d", name, code, row.want)
		}
	}
	if !strings.Contains(s.logged(), verdict.CrossSite) {
		t.Error("no reason in the log")
	}
}

// A store that cannot be asked is no reason to log in, nor to lose the cookie.
func TestAnOutageIsNoLogOut(t *testing.T) {
	s := portalWith(t, "login\n"+endpoint+"\nsession {\nstore memory\nrefresh_wait 1s\n}", nil)
	b := s.browser().logIn()
	handle := b.cookies["__Host-oauth"]
	s.skip(accessLife + time.Minute)
	s.issuer.says(503, "")
	res := b.do("GET", "/orders")
	if res.Code != 503 || res.Header().Get("Retry-After") == "" || len(res.Result().Cookies()) != 0 {
		t.Errorf("a script: %d %v", res.Code, res.Header())
	}
	res = b.do("GET", "/orders", navigation...)
	if b.want("a click", res, 503, `<a href="/orders">Try again</a>`); res.Header().Get("Location") != "" || b.cookies["__Host-oauth"] != handle {
		t.Errorf("a click: %v, cookies %v", res.Header(), b.cookies)
	}
	res = b.do("POST", "/_oauth/logout", "Origin", "https://api.example")
	if res.Code == 503 && b.cookies["__Host-oauth"] != handle {
		t.Error("the cookie went though the session may live")
	}
}

// The page of an outage led to the site's first page once, and lost the place.
func TestALogInThatCannotBeginIsTriedAgainWhereItWasToLead(t *testing.T) {
	s := newPortal(t, "", func(metadata map[string]any) { delete(metadata, "authorization_endpoint") })
	b := s.browser()
	b.want("a click", b.do("GET", "/orders?page=2", navigation...), 503, `<a href="/orders?page=2">Try again</a>`)
	b.want("another site's address", b.do("GET", "/_oauth/login?return=//evil.example", navigation...), 503, `<a href="/">Try again</a>`)
}

func TestTheSessionOfARefusedRefreshEnds(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser().logIn()
	s.skip(accessLife + time.Minute)
	s.issuer.says(400, `{"error":"invalid_grant"}`)
	s.issuer.take()
	for range 3 {
		if code := b.status(); code != 401 || len(b.cookies) != 0 {
			t.Fatalf("%d %v", code, b.cookies)
		}
	}
	if n := s.issuer.count(); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

// With allow_anonymous a dead session's request passes as one without any.
func TestADeadSessionPassesWhereAnonymousRequestsDo(t *testing.T) {
	s := newPortal(t, "}\nallow_anonymous\nsession {\nstore memory", nil)
	b := s.browser()
	b.cookies["__Host-oauth"] = session.NewHandle().Reveal(credential.SessionPrefix)
	if code := b.status(); code != 200 || len(b.cookies) != 0 || s.saw[0].Header.Get("Cookie") != "" {
		t.Errorf("%d, cookies %v, upstream %v", code, b.cookies, s.saw)
	}
}

func TestTheLogHasTheSessionAndNoSecret(t *testing.T) {
	s := newPortal(t, "", nil)
	asked := s.browser().begin("/orders")
	b := s.browser().logIn()
	b.do("GET", "/_oauth/callback?code=a-secret-code&state="+asked.Get("state"))
	if log := s.logged(); !strings.Contains(log, `logged in {`) || !strings.Contains(log, `"sref":"`) {
		t.Error(log)
	}
	s.hides([]string{"a-secret-code", "the-code", asked.Get("state"), s.asked.Get("nonce"), b.cookies["__Host-oauth"]})
}

// Strangers begin as many log-ins as they like, and make up the codes.
func TestACodeThatTheIssuerRefusesLeavesNothingInTheStore(t *testing.T) {
	s := newPortal(t, "", nil)
	grants, err := s.keeper.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[string]bool{"made up": false, "the-code": true} {
		b := s.browser()
		asked := b.begin("/")
		b.back(asked, "code", code)
		if noted, err := grants.Happened(t.Context(), "login", asked.Get("state")); noted != want || err != nil {
			t.Errorf("a log-in with the code %q is noted: %v %v, want %v", code, noted, err, want)
		}
	}
}
