package caddyoauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/login"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

const userSent = "copy_claims sub>X-User-Id email>X-User-Email iss>X-Issuer scope>X-Scope\n"

// usersWith is a portal whose issuer has no audience, and gives opaque access tokens:
// sessions stand for users.
func usersWith(tb testing.TB, block string, change func(metadata map[string]any)) *portal {
	tb.Helper()
	issuer := newGrantor(tb, func(m map[string]any) {
		m["authorization_endpoint"] = m["issuer"].(string) + "/authorize?tenant=1"
		m["userinfo_endpoint"] = m["issuer"].(string) + "/userinfo"
		if change != nil {
			change(m)
		}
	})
	gate := rawGate(tb, fmt.Sprintf("oauth {\nissuer %s {\nclient gateway the-gateways-own-secret\n}\n%s\n}", issuer.URL, block), &issuer.clock)
	s := &portal{gate: gate, issuer: issuer}
	s.claims = map[string]any{"email": "alice@example.com", "hd": "example.com", "scope": "everything"}
	s.tokens = map[string]any{"access_token": "opaque-token-of-the-log-in"}
	issuer.reply(s.token)
	return s
}

// last is what the upstream saw last.
func (s *portal) last() http.Header { return s.saw[len(s.saw)-1].Header }

// refreshes answers refreshes with more beside an opaque access token.
func (s *portal) refreshes(more func() map[string]any) {
	n := 0
	s.issuer.reply(func(w http.ResponseWriter, q *asked) {
		if q.Form.Get("grant_type") != tokenrequest.RefreshToken {
			s.token(w, q)
			return
		}
		n++
		answer := map[string]any{
			"token_type": "Bearer", "expires_in": int(accessLife.Seconds()), "access_token": fmt.Sprint("opaque-", n), "refresh_token": fmt.Sprint("refresh-", n),
		}
		for name, value := range more() {
			answer[name] = value
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
}

func TestASessionStandsForTheUserOfItsIDToken(t *testing.T) {
	s := usersWith(t, "login {\nscope email\nidentity id_token\n}\nrequire claim hd example.com\nrequire scope email\n"+userSent, nil)
	b := s.browser().logIn()
	for range 3 {
		if code := b.status(); code != http.StatusOK {
			t.Fatal(code, s.logged())
		}
	}
	for name, want := range map[string]string{
		"X-User-Id": "alice", "X-User-Email": "alice@example.com", "X-Issuer": s.issuer.URL,
		"X-Scope":       "openid email", // granted as asked for, and not what the ID token calls so
		"Authorization": "",             // the access token is for the issuer alone
	} {
		if got := s.last().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	// Of no use to clients, whatever they bring.
	for what, token := range map[string]string{
		"the ID token":            s.sign("JWT", map[string]any{"sub": "alice", "hd": "example.com"}),
		"the opaque access token": "opaque-token-of-the-log-in", "an access token of the issuer": s.issuer.access("alice"),
	} {
		if code, _ := s.get(token); code != http.StatusUnauthorized {
			t.Errorf("a client gets %d with %s", code, what)
		}
	}
}

func TestTheScopeOfALogInIsWhatTheAnswerGranted(t *testing.T) {
	s := usersWith(t, "login {\nscope email staff\nidentity id_token\n}\nrequire /staff/* scope staff\n", nil)
	s.tokens["scope"] = "openid email"
	b := s.browser().logIn()
	if code := b.do("GET", "/staff/list").Code; code != http.StatusForbidden {
		t.Errorf("%d for a scope that was asked for and not granted", code)
	}
	if code := b.status(); code != http.StatusOK {
		t.Error(code, s.logged())
	}
	s.tokens["scope"] = "openid email staff"
	b = s.browser().logIn()
	if code := b.do("GET", "/staff/list").Code; code != http.StatusOK {
		t.Errorf("%d for a scope that was granted", code)
	}
	s.refreshes(func() map[string]any { return map[string]any{"scope": "openid"} })
	s.skip(accessLife + time.Second)
	if code := b.do("GET", "/staff/list").Code; code != http.StatusForbidden {
		t.Errorf("%d for a scope that the issuer took back with a refresh", code)
	}
}

// The access token is judged by nobody but its issuer: another audience, another
// name for the user, another clock.
func TestTheAccessTokenOfAUsersSessionIsItsIssuersAffair(t *testing.T) {
	s := usersWith(t, "login {\nidentity id_token\n}\n"+userSent, nil)
	s.tokens["access_token"] = s.issuer.access("alice-elsewhere", map[string]any{"aud": "another-api", "exp": 1})
	b := s.browser().logIn()
	if code := b.status(); code != http.StatusOK || s.last().Get("X-User-Id") != "alice" {
		t.Fatal(code, s.logged())
	}
	s.refreshes(func() map[string]any {
		return map[string]any{"access_token": s.issuer.access("another-name", map[string]any{"aud": "another-api"})}
	})
	s.skip(accessLife + time.Second)
	if code := b.status(); code != http.StatusOK || s.last().Get("X-User-Id") != "alice" {
		t.Error("after a refresh: ", code, s.logged())
	}
}

func TestARefreshRenewsWhoASessionStandsFor(t *testing.T) {
	s := usersWith(t, "login {\nidentity id_token\n}\n"+userSent, nil)
	b := s.browser().logIn()
	var id map[string]any
	s.refreshes(func() map[string]any {
		if id == nil {
			return nil
		}
		return map[string]any{"id_token": s.sign("JWT", map[string]any{"sub": "alice", "sid": "sid-1"}, id)}
	})
	for _, row := range []struct {
		what  string
		id    map[string]any
		email string
	}{
		{"none, so that the one before counts on", nil, "alice@example.com"},
		{"another e-mail address", map[string]any{"email": "married@example.com"}, "married@example.com"},
		{"one for another client", map[string]any{"email": "evil@example.com", "aud": "somebody"}, "married@example.com"},
	} {
		id = row.id
		s.skip(accessLife + time.Second)
		if code := b.status(); code != http.StatusOK || s.last().Get("X-User-Email") != row.email {
			t.Fatalf("a refresh with %s: %d %v; log: %s", row.what, code, s.last(), s.logged())
		}
	}
	id = map[string]any{"sub": "bob", "email": "bob@example.com"}
	s.skip(accessLife + time.Second)
	if code := b.status(); code != http.StatusUnauthorized {
		t.Errorf("a refresh with another user's ID token: %d", code)
	}
	b = s.browser().logIn()
	s.issuer.says(http.StatusBadRequest, `{"error":"invalid_grant"}`)
	s.skip(accessLife + time.Second)
	if code := b.status(); code != http.StatusUnauthorized {
		t.Errorf("a refresh that is refused: %d", code)
	}
}

func TestAUsersSessionWithoutARefreshTokenLivesAsLongAsSessionsDo(t *testing.T) {
	s := usersWith(t, "login {\nidentity id_token\n}\nsession {\nstore memory\nidle 5h\nmax 5h\n}\n", nil)
	s.tokens["refresh_token"] = nil
	b := s.browser().logIn()
	for n := range 7 {
		s.skip(40 * time.Minute)
		if code := b.status(); code != http.StatusOK {
			t.Fatalf("%d after %d minutes; log: %s", code, (n+1)*40, s.logged())
		}
	}
	if strings.Contains(s.logged(), "ends with its access token") {
		t.Error("the log says that it ends with its access token")
	}
	s.skip(20*time.Minute + time.Second)
	if code := b.status(); code != http.StatusUnauthorized {
		t.Errorf("%d after max", code)
	}
	s = usersWith(t, "login {\nidentity id_token\n}\nsession {\nstore memory\nidle 2h\nmax 5h\n}\n", nil)
	s.tokens["refresh_token"] = nil
	idle := s.browser().logIn()
	s.skip(2*time.Hour - time.Minute)
	if code := idle.status(); code != http.StatusOK {
		t.Errorf("%d before idle", code)
	}
	idle = s.browser().logIn()
	s.skip(2*time.Hour + time.Second)
	if code := idle.status(); code != http.StatusUnauthorized {
		t.Errorf("%d after idle", code)
	}
	// What is forwarded has to be alive.
	s = usersWith(t, "login {\nidentity id_token\nforward access_token\n}\n", nil)
	s.tokens["refresh_token"] = nil
	b = s.browser().logIn()
	s.skip(accessLife + time.Second)
	if code := b.status(); code != http.StatusUnauthorized {
		t.Errorf("%d when the access token that the upstream gets has run out", code)
	}
}

func TestForwardSaysWhichTokenTheUpstreamGets(t *testing.T) {
	for words, want := range map[string]string{
		"identity id_token":                       "",
		"identity id_token\nforward none":         "",
		"identity id_token\nforward access_token": "Bearer opaque-token-of-the-log-in",
		"identity id_token\nforward id_token":     "Bearer ey",
		"identity userinfo\nforward access_token": "Bearer opaque-token-of-the-log-in",
	} {
		s := usersWith(t, "login {\n"+words+"\n}\n", nil)
		u := new(knownUser)
		u.answer.Store(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"sub":"alice"}`)) })
		s.issuer.user = u.ServeHTTP
		b := s.browser().logIn()
		if code := b.status(); code != http.StatusOK {
			t.Fatal(words, code, s.logged())
		}
		if got := s.last().Get("Authorization"); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: the upstream got %.20q", words, got)
		}
	}
	s := newPortal(t, "forward none", nil)
	if code := s.browser().logIn().status(); code != http.StatusOK || s.last().Get("Authorization") != "" {
		t.Errorf("%d, and the upstream got %.20q", code, s.last().Get("Authorization"))
	}
	if code, _ := s.get(s.issuer.access("alice")); code != http.StatusOK || s.last().Get("Authorization") == "" {
		t.Error("a client's own token is not forwarded")
	}
}

func TestAUsersSessionEndsWithWhatIsTakenBack(t *testing.T) {
	for _, e := range []revoked.Entry{{Subject: "alice"}, {Session: "sid-1"}, {Client: "gateway"}, {}} {
		s := usersWith(t, "login {\nidentity id_token\n}\n", nil)
		b := s.browser().logIn()
		if code := b.status(); code != http.StatusOK {
			t.Fatal(code, s.logged())
		}
		e.Issuer, e.Source, e.Added, e.Until = s.issuer.URL, revoked.ByOperator, time.Now(), time.Now().Add(time.Hour)
		e.Before = time.Now()
		if err := s.validator.Revoked.Add(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if code := b.status(); code != http.StatusUnauthorized {
			t.Errorf("%d after %+v was taken back", code, e)
		}
	}
}

func TestASessionStandsForTheUserOfUserInfoToo(t *testing.T) {
	s := usersWith(t, "login {\nidentity userinfo\n}\nrequire /staff/* claim groups staff\n"+userSent, nil)
	u, grants := new(knownUser), true
	u.answer.Store(func(w http.ResponseWriter, r *http.Request) {
		if !grants || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer opaque") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"sub":"alice","email":"profile@example.com","groups":["staff"],"acr":"high"}`))
	})
	s.issuer.user = u.ServeHTTP
	b := s.browser().logIn()
	for range 3 {
		if code := b.do("GET", "/staff/list").Code; code != http.StatusOK {
			t.Fatal(code, s.logged())
		}
	}
	if s.last().Get("X-User-Email") != "alice@example.com" || u.asked.Load() != 1 {
		t.Errorf("%v, asked %d times", s.last(), u.asked.Load())
	}
	// Without a refresh token it ends with the access token that asks.
	s.tokens["refresh_token"] = nil
	b = s.browser().logIn()
	s.skip(accessLife + time.Second)
	if code := b.status(); code != http.StatusUnauthorized {
		t.Errorf("%d when the access token has run out", code)
	}
}

// Sessions outlive a change of the configuration.
func TestSessionsFromBeforeTheyStoodForUsers(t *testing.T) {
	s := newPortal(t, "identity access_token", nil)
	s.claims = map[string]any{"email": "alice@example.com"}
	b := s.browser().logIn()
	s.claims["pad"] = strings.Repeat("x", 5<<10) // the ID token is too long to be kept
	long := s.browser().logIn()
	s.site.Block.Identity = login.IDToken
	if code := b.status(); code != http.StatusOK {
		t.Error(code, s.logged())
	}
	res := long.do("GET", "/orders")
	if res.Code != http.StatusUnauthorized || !strings.Contains(s.logged(), "the session began before identity id_token") {
		t.Errorf("%d without a word on who it is; log: %s", res.Code, s.logged())
	}
	if long.begin("/orders").Get("state") == "" {
		t.Error("a click does not lead to a log-in")
	}
}
