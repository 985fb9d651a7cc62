package caddyoauth

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

var here = []string{"Sec-Fetch-Site", "same-origin", "Content-Type", formType}

func TestALogOutEndsTheSessionHereAndAtTheIssuer(t *testing.T) {
	s := newPortal(t, "post_logout /_oauth/logged_out", nil)
	b := s.browser().logIn()
	copied := &tab{s, map[string]string{"__Host-oauth": b.cookies["__Host-oauth"]}}
	s.issuer.take()
	b.want("the question", b.do("GET", "/_oauth/logout"), 200, `<form method="post"><button class="strong">Log out</button>`)
	if b.status() != 200 {
		t.Error("looking logs out")
	}
	b.want("another site", b.do("POST", "/_oauth/logout", "Sec-Fetch-Site", "cross-site"), 403, "did not come from a page of this site")
	if b.status() != 200 {
		t.Error("another site logs out")
	}
	res := b.do("POST", "/_oauth/logout", here...)
	at, err := url.Parse(res.Header().Get("Location"))
	if err != nil || res.Code != http.StatusSeeOther || !strings.HasPrefix(at.String(), s.issuer.URL+"/end?") {
		t.Fatalf("%d %v", res.Code, res.Header())
	}
	if q := at.Query(); q.Get("client_id") != "gateway" || q.Get("post_logout_redirect_uri") != "https://api.example/_oauth/logged_out" ||
		strings.Count(q.Get("id_token_hint"), ".") != 2 {
		t.Errorf("what the issuer is told: %v", q)
	}
	if len(b.cookies) != 0 || copied.status() != 401 {
		t.Errorf("the session lives: %v", b.cookies)
	}
	if asked := s.issuer.take(); len(asked) != 1 || asked[0].Path != "/revoke" {
		t.Errorf("the tokens are not given back: %v", asked)
	}
	b.want("once more", b.do("POST", "/_oauth/logout", here...), 303, "")
}

// Servers may know the latest ID token alone, and refuse a log-out with the one
// before it.
func TestALogOutAfterARefreshHasTheIDTokenOfTheRefreshAsItsHint(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser().logIn()
	answer, next := s.issuer.grant, s.sign("JWT", map[string]any{"sub": "alice", "sid": "sid-1"})
	s.issuer.reply(func(w http.ResponseWriter, q *asked) {
		if q.Form.Get("grant_type") != "refresh_token" {
			answer(w, q)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"token_type": "Bearer", "expires_in": 300, "access_token": s.issuer.access("alice"), "refresh_token": "next", "id_token": next,
		})
	})
	s.skip(accessLife + time.Second)
	if code := b.status(); code != http.StatusOK {
		t.Fatal(code, s.logged())
	}
	at, err := url.Parse(b.do("POST", "/_oauth/logout", here...).Header().Get("Location"))
	if err != nil || at.Query().Get("id_token_hint") != next {
		t.Errorf("the hint is not the ID token of the refresh: %v", at)
	}
}

func TestALogOutNeedsNothingOfTheIssuer(t *testing.T) {
	s := newPortal(t, "", func(m map[string]any) { delete(m, "end_session_endpoint") })
	b := s.browser().logIn()
	b.want("without an end_session_endpoint", b.do("POST", "/_oauth/logout", here...), 200, "You are logged out")
	if len(b.cookies) != 0 {
		t.Error(b.cookies)
	}
}

var sref = regexp.MustCompile(`name="end" value="([A-Z0-9]+)"`)

func TestAUserSeesAndEndsTheOwnSessions(t *testing.T) {
	s := newPortal(t, "", nil)
	firefox, phone := s.browser().logIn(), s.browser()
	asked := phone.begin("/")
	phone.do("GET", "/_oauth/callback?"+url.Values{"state": {asked.Get("state")}, "code": {"the-code"}, "iss": {s.issuer.URL}}.Encode(),
		"User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1")
	s.claims = map[string]any{"sub": "mallory"}
	other := s.browser().logIn()
	s.claims = nil

	page := firefox.do("GET", "/_oauth/sessions", navigation...)
	firefox.want("the page", page, 200, "Safari on iPhone, network 10.")
	firefox.want("the page", page, 200, "(this browser)")
	text := page.Body.String()
	all := sref.FindAllStringSubmatch(text, -1)
	if len(all) != 2 {
		t.Fatalf("%d sessions: %s", len(all), text)
	}
	var phones string
	for _, one := range all {
		if part := text[strings.Index(text, "s-"+one[1]):]; strings.Contains(part[:strings.Index(part, "</h2>")], "iPhone") {
			phones = one[1]
		}
	}
	foreign := sref.FindStringSubmatch(other.do("GET", "/_oauth/sessions", navigation...).Body.String())[1]
	firefox.want("somebody else's", firefox.send("POST", "/_oauth/sessions", "end="+foreign, here...), 303, "")
	if other.status() != 200 {
		t.Error("a user has ended somebody else's session")
	}
	firefox.want("without Origin", firefox.send("POST", "/_oauth/sessions", "end="+phones, "Content-Type", formType), 403, "did not come from a page of this site")
	firefox.want("the phone's", firefox.send("POST", "/_oauth/sessions", "end="+phones, here...), 303, "")
	if phone.status() != 401 || firefox.status() != 200 {
		t.Error("not the phone's session has ended")
	}
	firefox.want("all", firefox.send("POST", "/_oauth/sessions", "end=all", here...), 200, "You are logged out")
	if len(firefox.cookies) != 0 || other.status() != 200 {
		t.Error("not the own sessions have ended")
	}
	s.browser().begin("/_oauth/sessions")
	s.browser().want("a script", s.browser().do("GET", "/_oauth/sessions"), 401, "You are not logged in")
}

// logout posts a logout token, whose claims differ from a good one.
func (s *portal) logout(typ string, claims map[string]any) int {
	s.Helper()
	return s.post("/_oauth/backchannel_logout", "logout_token="+s.logoutToken(typ, claims)).Code
}

func (s *portal) logoutToken(typ string, claims map[string]any) string {
	good := map[string]any{"jti": rand.Text(), "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}
	return s.sign(typ, good, claims)
}

func TestTheIssuerLogsOutBySessionAndByUser(t *testing.T) {
	for name, row := range map[string]struct {
		claims map[string]any
		alive  [2]bool // alice's sessions sid-1 and sid-2
	}{
		"a session":            {map[string]any{"sid": "sid-1"}, [2]bool{false, true}},
		"a user":               {map[string]any{"sub": "alice"}, [2]bool{false, false}},
		"as Hydra does":        {map[string]any{"sid": "sid-1", "exp": nil}, [2]bool{false, true}},
		"a session and a user": {map[string]any{"sub": "alice", "sid": "sid-2"}, [2]bool{true, false}},
		"somebody else":        {map[string]any{"sub": "bob"}, [2]bool{true, true}},
		"an unknown session":   {map[string]any{"sid": "sid-3"}, [2]bool{true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newPortal(t, "", nil)
			first := s.browser().logIn()
			s.claims = map[string]any{"sid": "sid-2"}
			second := s.browser().logIn()
			if code := s.logout("logout+jwt", row.claims); code != 200 {
				t.Fatal(code, s.logged())
			}
			if got := [2]bool{first.status() == 200, second.status() == 200}; got != row.alive {
				t.Errorf("alive: %v, want %v", got, row.alive)
			}
		})
	}
}

func TestAWrongLogoutTokenEndsNothing(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser().logIn()
	now := s.clock.now().Unix()
	for name, claims := range map[string]map[string]any{
		"another issuer":      {"iss": "https://evil.example", "sub": "alice"},
		"another client":      {"aud": "somebody", "sub": "alice"},
		"expired":             {"exp": now - 300, "sub": "alice"},
		"no exp, and too old": {"exp": nil, "iat": now - 301 - 60, "sub": "alice"},
		"too old":             {"iat": now - 3600, "sub": "alice"},
		"of tomorrow":         {"iat": now + 86400, "exp": now + 90000, "sub": "alice"},
		"no iat":              {"iat": nil, "sub": "alice"},
		"no jti":              {"jti": nil, "sub": "alice"},
		"a nonce":             {"nonce": "x", "sub": "alice"},
		"no events":           {"events": nil, "sub": "alice"},
		"another event":       {"events": map[string]any{"https://x": map[string]any{}}, "sub": "alice"},
		"an event of no kind": {"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": true}, "sub": "alice"},
		"nobody":              {},
		"an empty session":    {"sid": "", "sub": "alice"},
		"a session as a list": {"sid": []string{"sid-1"}},
	} {
		if code := s.logout("logout+jwt", claims); code != 400 {
			t.Errorf("%s: %d", name, code)
		}
	}
	for _, typ := range []string{"at+jwt", "dpop+jwt"} {
		if code := s.logout(typ, map[string]any{"sub": "alice"}); code != 400 {
			t.Errorf("typ %s: %d", typ, code)
		}
	}
	for _, form := range []string{"", "logout_token=", "logout_token=a.b.c", "logout_token=a&logout_token=b", "logout_token=" + s.issuer.access("alice")} {
		res := s.post("/_oauth/backchannel_logout", form)
		if res.Code != 400 || res.Header().Get("Cache-Control") != "no-store" || !strings.Contains(res.Body.String(), "invalid_request") {
			t.Errorf("%.40s: %d %v %s", form, res.Code, res.Header(), res.Body)
		}
	}
	if code := s.send(http.MethodGet, "/_oauth/backchannel_logout", "").Code; code != 405 {
		t.Error("GET: ", code)
	}
	if b.status() != 200 {
		t.Error("a session has ended: ", s.logged())
	}
}

// A copy of a logout token must not end the sessions that come later.
func TestALogoutTokenIsTakenOnce(t *testing.T) {
	for name, claims := range map[string]map[string]any{
		"as the specification has it": {"sub": "alice", "jti": "the-same"},
		"without exp":                 {"sub": "alice", "jti": "the-same", "exp": nil},
	} {
		t.Run(name, func(t *testing.T) { takenOnce(t, claims) })
	}
}

func takenOnce(t *testing.T, claims map[string]any) {
	s := newPortal(t, "", nil)
	s.browser().logIn()
	if code := s.logout("logout+jwt", claims); code != 200 {
		t.Fatal(code, s.logged())
	}
	again := s.browser().logIn()
	if code := s.logout("logout+jwt", claims); code != 400 || again.status() != 200 {
		t.Errorf("the second time: %d", code)
	}
	s.skip(time.Minute)
	if code := s.logout("logout+jwt", claims); code != 400 {
		t.Errorf("a minute later: %d", code)
	}
}
