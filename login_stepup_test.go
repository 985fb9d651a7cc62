package caddyoauth

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// stepUp is a portal where one page needs a strong and recent log-in.
func newStepUpPortal(t *testing.T) *portal {
	t.Helper()
	return portalWith(t, `require /vault acr gold
		require /vault max_age 5m
		require /vault scope vault
		login {
			scope profile
			parameter acr_values silver
		}
		`+endpoint, nil)
}

// logsInWith is what the access token of the next log-in says.
func (s *portal) logsInWith(claims map[string]any) {
	s.tokens = map[string]any{"access_token": s.issuer.access("alice", claims)}
}

func TestAWeakSessionIsSentToLogInBetterAndComesBack(t *testing.T) {
	s := newStepUpPortal(t)
	b := s.browser().logIn()
	first := b.cookies["__Host-oauth"]
	asked := b.begin("/vault")
	if asked.Get("acr_values") != "gold" || asked.Get("max_age") != "300" || asked.Get("scope") != "openid profile vault" {
		t.Fatalf("asked for %v", asked)
	}
	s.logsInWith(map[string]any{"acr": "gold", "auth_time": s.clock.now().Unix(), "scope": "profile vault"})
	if res := b.back(asked); res.Code != http.StatusSeeOther || res.Header().Get("Location") != "/vault" {
		t.Fatalf("the better log-in: %d %v; log: %s", res.Code, res.Header(), s.logged())
	}
	if b.cookies["__Host-oauth"] == first {
		t.Error("the session is the weak one")
	}
	if res := b.do(http.MethodGet, "/vault", navigation...); res.Code != http.StatusOK {
		t.Errorf("then: %d", res.Code)
	}
}

// An issuer that leaves acr or auth_time out would send the browser around for
// ever.
func TestALogInThatIsNoBetterEndsOnAPageAndNotInALoop(t *testing.T) {
	for name, claims := range map[string]map[string]any{
		"no acr":       {"auth_time": time.Now().Unix()},
		"another acr":  {"acr": "silver", "auth_time": time.Now().Unix()},
		"no auth_time": {"acr": "gold"},
		"an old one":   {"acr": "gold", "auth_time": time.Now().Add(-time.Hour).Unix()},
	} {
		s := newStepUpPortal(t)
		b := s.browser().logIn()
		old := b.cookies["__Host-oauth"]
		asked := b.begin("/vault")
		s.logsInWith(claims)
		b.want(name, b.back(asked), http.StatusForbidden, "not enough")
		if b.cookies["__Host-oauth"] != old || b.status() != http.StatusOK {
			t.Errorf("%s: the session from before is gone", name)
		}
		if log := s.logged(); !strings.Contains(log, `"weak"`) {
			t.Errorf("%s: the log has %s", name, log)
		}
	}
}

func TestOnlyASessionThatNavigatesIsSentToLogInBetter(t *testing.T) {
	s := newStepUpPortal(t)
	b := s.browser().logIn()
	if res := b.do(http.MethodGet, "/vault"); res.Code != http.StatusUnauthorized ||
		!strings.Contains(res.Header().Get("WWW-Authenticate"), `acr_values="gold"`) {
		t.Errorf("a script: %d %v", res.Code, res.Header())
	}
	bearer := append([]string{"Authorization", "Bearer " + s.issuer.access("bob")}, navigation...)
	if res := s.browser().do(http.MethodGet, "/vault", bearer...); res.Code != http.StatusUnauthorized {
		t.Errorf("a token of its own: %d", res.Code)
	}
	if res := s.browser().do(http.MethodGet, "/vault", navigation...); res.Code != http.StatusFound || strings.Contains(res.Header().Get("Location"), "gold") {
		t.Errorf("nobody: %d %v", res.Code, res.Header())
	}
}

func TestALogInAsksForTheGatewaysOwnResource(t *testing.T) {
	for block, want := range map[string]string{
		"resource https://api.example/orders\nlogin\n":                                      "https://api.example/orders",
		"resource https://api.example/orders\nlogin {\nresource https://other.example\n}\n": "https://other.example",
		"login\n": "",
	} {
		asked := portalWith(t, block+endpoint, nil).browser().begin("/")
		if got := asked.Get("resource"); got != want {
			t.Errorf("%s: resource is %q, want %q", block, got, want)
		}
	}
}

// Requirements that no one log-in meets would have each log-in undo the last.
func TestWaysToLogInThatHaveNothingInCommonSendNoBrowserAround(t *testing.T) {
	s := portalWith(t, "require acr gold\nrequire /vault acr silver\nlogin\n"+endpoint, nil)
	s.logsInWith(map[string]any{"acr": "gold"})
	b := s.browser().logIn()
	res := b.do(http.MethodGet, "/vault", navigation...)
	if said := res.Header().Get("WWW-Authenticate"); res.Code != http.StatusUnauthorized || !strings.Contains(said, verdict.InsufficientLogIn) || strings.Contains(said, "acr_values") {
		t.Errorf("%d %s %s", res.Code, said, res.Header().Get("Location"))
	}
	if log := s.logged(); !strings.Contains(log, "no way to log in meets them all") {
		t.Error(log)
	}
}

// A page that needs a token leads to one, also where others do not need it.
func TestABrowserThatIsAnonymousIsSentToLogInWhereATokenIsNeeded(t *testing.T) {
	s := portalWith(t, "allow_anonymous\nrequire /vault scope vault\nlogin\n"+endpoint, nil)
	b := s.browser()
	if res := b.do(http.MethodGet, "/", navigation...); res.Code != http.StatusOK {
		t.Errorf("elsewhere: %d", res.Code)
	}
	if res := b.do(http.MethodGet, "/vault"); res.Code != http.StatusUnauthorized {
		t.Errorf("a script: %d", res.Code)
	}
	asked := b.begin("/vault")
	s.logsInWith(map[string]any{"scope": "vault"})
	if res := b.back(asked); res.Code != http.StatusSeeOther || res.Header().Get("Location") != "/vault" {
		t.Errorf("back: %d %v", res.Code, res.Header())
	}
}

// What an issuer said of an opaque token may be remembered; how long ago the
// user logged in is judged each time.
func TestHowAndWhenTheUserLoggedInIsJudgedOfOpaqueTokensToo(t *testing.T) {
	issuer := newGrantor(t, nil)
	acr := "gold"
	issuer.reply(func(w http.ResponseWriter, _ *asked) {
		fmt.Fprintf(w, `{"active":true,"aud":"api","acr":%q,"auth_time":%d}`, acr, issuer.clock.now().Unix())
	})
	g := newAsker(t, issuer, "", "require acr gold\nrequire max_age 5s")
	g.expects("good", http.StatusOK)
	g.clock.ahead.Add(int64(40 * time.Second)) // beyond the skew, within the cache
	if said := g.expects("good", http.StatusUnauthorized).Header().Get("WWW-Authenticate"); !strings.Contains(said, `max_age="5"`) || !strings.Contains(said, `acr_values="gold"`) {
		t.Error(said)
	}
	if n := issuer.count(); n != 1 {
		t.Errorf("%d calls", n)
	}
	acr = "silver"
	g.expects("other", http.StatusUnauthorized)
}
