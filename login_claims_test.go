package caddyoauth

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	withClaims  = "login {\nclaims id_token userinfo\n}\n"
	claimsRules = "require /staff/* claim groups staff\n"
	claimsSent  = "copy_claims sub>X-User-Id email>X-User-Email name>X-User-Name iss>X-Issuer acr>X-Acr scope>X-Scope nonce>X-Nonce\n"
)

// knownUser is what an issuer's userinfo endpoint says. It counts how often it is asked.
type knownUser struct {
	asked  atomic.Int64
	answer atomic.Value // a func(w http.ResponseWriter, r *http.Request)
}

func (u *knownUser) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.asked.Add(1)
	u.answer.Load().(func(http.ResponseWriter, *http.Request))(w, r)
}

func (u *knownUser) says(claims map[string]any) {
	text, _ := json.Marshal(claims)
	u.body("application/json", string(text))
}

func (u *knownUser) body(kind, text string) {
	u.answer.Store(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ey") || r.Method != http.MethodGet {
			w.WriteHeader(http.StatusTeapot)
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write([]byte(text))
	})
}

func (u *knownUser) fails(status int) {
	u.answer.Store(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

// newClaimed is a portal whose sessions have claims beside those of the access
// token.
func newClaimed(t *testing.T, block string) (*portal, *knownUser) {
	t.Helper()
	s := portalWith(t, block+endpoint, func(m map[string]any) { m["userinfo_endpoint"] = m["issuer"].(string) + "/userinfo" })
	u := new(knownUser)
	s.issuer.user = u.ServeHTTP
	s.claims = map[string]any{"email": "alice@example.com", "acr": "gold", "scope": "everything"}
	u.says(map[string]any{"sub": "alice", "name": "Alice", "email": "another@example.com", "groups": []string{"staff"}, "iss": "https://evil.example", "acr": "platinum"})
	return s, u
}

func TestASessionHasTheClaimsOfTheIDTokenAndOfUserInfoToo(t *testing.T) {
	s, u := newClaimed(t, withClaims+claimsRules+claimsSent)
	b := s.browser().logIn()
	for range 3 {
		if code := b.do("GET", "/staff/list").Code; code != http.StatusOK {
			t.Fatalf("require claim groups: %d; log: %s", code, s.logged())
		}
	}
	h := s.saw[0].Header
	for name, want := range map[string]string{
		"X-User-Id": "alice", "X-User-Name": "Alice", "X-Issuer": s.issuer.URL,
		"X-User-Email": "alice@example.com", // what is named first counts
		"X-Acr":        "gold",              // and not what users may write into their profiles
		"X-Scope":      "", "X-Nonce": "",   // the access token's alone
	} {
		if h.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, h.Get(name), want)
		}
	}
	if n := u.asked.Load(); n != 1 {
		t.Errorf("the userinfo endpoint was asked %d times for one access token", n)
	}
	// The very same access token, brought by a client, has its own claims alone.
	if code := s.browser().do("GET", "/staff/list", "Authorization", h.Get("Authorization")).Code; code != http.StatusForbidden {
		t.Errorf("a client gets %d by what is known of a session's user", code)
	}
	if s.browser().do("GET", "/orders", "Authorization", h.Get("Authorization")); s.saw[len(s.saw)-1].Header.Get("X-User-Email") != "" {
		t.Error("a client's request has an e-mail address that its token does not have")
	}
}

func TestWhatIsKnownOfAUserIsRefreshedWithTheSession(t *testing.T) {
	s, u := newClaimed(t, withClaims+claimsRules+claimsSent)
	b := s.browser().logIn()
	b.do("GET", "/staff/list")
	answer := s.issuer.grant
	refreshed := map[string]any{"sub": "alice", "sid": "sid-1", "email": "married@example.com"}
	s.issuer.reply(func(w http.ResponseWriter, q *asked) {
		if q.Form.Get("grant_type") != "refresh_token" {
			answer(w, q)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"token_type": "Bearer", "expires_in": 300, "access_token": s.issuer.access("alice"),
			"refresh_token": "next", "id_token": s.sign("JWT", refreshed),
		})
	})
	u.says(map[string]any{"sub": "alice", "name": "Alice M.", "groups": []string{}})
	s.skip(accessLife + time.Second)
	if code := b.status(); code != http.StatusOK {
		t.Fatal(code, s.logged())
	}
	if h := s.saw[len(s.saw)-1].Header; h.Get("X-User-Email") != "married@example.com" || h.Get("X-User-Name") != "Alice M." {
		t.Errorf("after a refresh: %v", h)
	}
	if code := b.do("GET", "/staff/list").Code; code != http.StatusForbidden {
		t.Errorf("%d for a group that the user is not in any more", code)
	}
	// An ID token that does not pass costs neither the session nor what was known.
	refreshed = map[string]any{"sub": "alice", "aud": "somebody", "email": "evil@example.com"}
	s.skip(accessLife + time.Second)
	if code := b.status(); code != http.StatusOK || s.saw[len(s.saw)-1].Header.Get("X-User-Email") != "married@example.com" {
		t.Errorf("an ID token for another client: %d %v", code, s.saw[len(s.saw)-1].Header)
	}
}

func TestAnOutageOfUserInfoIsNoLogOut(t *testing.T) {
	s, u := newClaimed(t, withClaims)
	b := s.browser()
	asked := b.begin("/orders")
	u.fails(http.StatusBadGateway)
	b.want("a log-in meanwhile", b.back(asked), http.StatusServiceUnavailable, "Try again later")
	u.says(map[string]any{"sub": "alice"})
	b = s.browser().logIn()
	s.skip(accessLife + time.Second)
	u.fails(http.StatusServiceUnavailable)
	res := b.do("GET", "/orders")
	if res.Code != http.StatusServiceUnavailable || res.Header().Get("Retry-After") == "" || res.Header().Get("WWW-Authenticate") != "" || len(b.cookies) != 1 {
		t.Errorf("with a session: %d %v, cookies %v", res.Code, res.Header(), b.cookies)
	}
	if !strings.Contains(s.logged(), "userinfo_unavailable") {
		t.Error("the log does not say so: ", s.logged())
	}
	u.says(map[string]any{"sub": "alice"})
	if code := b.status(); code != http.StatusOK {
		t.Errorf("%d when it is back; log: %s", code, s.logged())
	}
}

// The access token may have been put in the place of another's (OpenID Connect
// Core §5.3.2).
func TestUserInfoOfAnotherUserIsNotUsed(t *testing.T) {
	for name, body := range map[string]string{
		"another":       `{"sub":"bob","groups":["staff"]}`,
		"no user":       `{"groups":["staff"]}`,
		"a number":      `{"sub":7}`,
		"no answer":     `<html>`,
		"half":          `{"sub":"alice"`,
		"two":           `{"sub":"alice","sub":"bob"}`,
		"far too much":  `{"sub":"alice","pad":"` + strings.Repeat("x", 70<<10) + `"}`,
		"a list":        `["alice"]`,
		"an empty text": ``,
	} {
		t.Run(name, func(t *testing.T) {
			s, u := newClaimed(t, withClaims)
			b := s.browser()
			asked := b.begin("/orders")
			u.body("application/json", body)
			want := http.StatusForbidden
			if name == "far too much" {
				want = http.StatusServiceUnavailable
			}
			if res := b.back(asked); res.Code != want || len(b.cookies) != 0 && want == http.StatusForbidden {
				t.Errorf("a log-in gets %d, want %d; cookies %v; log: %s", res.Code, want, b.cookies, s.logged())
			}
			if all := s.issuer.take(); len(all) != 2 || all[1].Path != "/revoke" {
				t.Errorf("what was granted is not given back: %v", all)
			}
		})
	}
}

func TestUserInfoThatIsRememberedIsOfItsOwnUserAlone(t *testing.T) {
	s, u := newClaimed(t, withClaims+claimsRules)
	s.tokens = map[string]any{"access_token": s.issuer.access("alice")}
	alice := s.browser().logIn()
	s.claims["sub"] = "bob" // with the access token of alice, who is known
	b := s.browser()
	if res := b.back(b.begin("/staff/list")); res.Code != http.StatusForbidden || len(b.cookies) != 0 {
		t.Errorf("bob logs in and gets %d, cookies %v", res.Code, b.cookies)
	}
	// That costs alice nothing, whose token it is.
	if code := alice.do("GET", "/staff/list").Code; code != http.StatusOK || u.asked.Load() != 1 {
		t.Errorf("alice gets %d then, with %d calls", code, u.asked.Load())
	}
}

func TestSignedUserInfoIsProven(t *testing.T) {
	for name, row := range map[string]struct {
		claims map[string]any
		typ    string
		want   int
	}{
		"a good one":         {nil, "JWT", http.StatusSeeOther},
		"without iss, aud":   {map[string]any{"iss": nil, "aud": nil, "exp": nil, "iat": nil}, "", http.StatusSeeOther},
		"of another issuer":  {map[string]any{"iss": "https://evil.example"}, "JWT", http.StatusForbidden},
		"for another client": {map[string]any{"aud": "somebody"}, "JWT", http.StatusForbidden},
		"expired":            {map[string]any{"exp": 1}, "JWT", http.StatusForbidden},
		"an access token":    {nil, "at+jwt", http.StatusForbidden},
		"a logout token":     {map[string]any{"events": map[string]any{}}, "JWT", http.StatusForbidden},
		"of another user":    {map[string]any{"sub": "bob"}, "JWT", http.StatusForbidden},
	} {
		s, u := newClaimed(t, withClaims+claimsSent)
		b := s.browser()
		asked := b.begin("/orders")
		u.body("application/jwt", s.sign(row.typ, map[string]any{"sub": "alice", "name": "Alice, signed"}, row.claims))
		if res := b.back(asked); res.Code != row.want {
			t.Errorf("%s: %d, want %d; log: %s", name, res.Code, row.want, s.logged())
			continue
		}
		if row.want == http.StatusSeeOther {
			if b.status(); s.saw[0].Header.Get("X-User-Name") == "" {
				t.Errorf("%s: nothing of it: %v", name, s.saw[0].Header)
			}
		}
	}
	s, u := newClaimed(t, withClaims)
	other := newGrantor(t, nil)
	b := s.browser()
	asked := b.begin("/orders")
	u.body("application/jwt", other.idToken(t, "alice"))
	b.want("signed by another server", b.back(asked), http.StatusForbidden, "did not tell who you are")
}

// A session at the issuer that was ended there: its access token is taken no more.
func TestAnAccessTokenThatUserInfoRefusesEndsWithARefresh(t *testing.T) {
	s, u := newClaimed(t, withClaims)
	b := s.browser().logIn()
	s.skip(accessLife + time.Second)
	u.fails(http.StatusUnauthorized)
	if res := b.do("GET", "/orders"); res.Code != http.StatusUnauthorized || !strings.Contains(res.Header().Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("%d %v", res.Code, res.Header())
	}
	if b.begin("/orders").Get("state") == "" {
		t.Error("a click does not lead to a log-in")
	}
}

// Microsoft Entra and oidc-provider take no access token there that is for an API.
func TestALogInWhoseAccessTokenUserInfoDoesNotTakeSaysWhatToWrite(t *testing.T) {
	s, u := newClaimed(t, withClaims)
	b := s.browser()
	asked := b.begin("/orders")
	u.fails(http.StatusUnauthorized)
	b.want("the log-in", b.back(asked), http.StatusForbidden, "did not tell who you are")
	if !strings.Contains(s.logged(), "claims id_token instead of userinfo") {
		t.Error("the log does not say what to do: ", s.logged())
	}
}

func TestAStrongerLogInMayBeToldByTheIDTokenAlone(t *testing.T) {
	s, _ := newClaimed(t, "login {\nclaims id_token\n}\nrequire acr platinum\n")
	s.claims = map[string]any{"acr": "platinum"}
	b := s.browser()
	asked := b.begin("/orders")
	if res := b.back(asked); res.Code != http.StatusSeeOther {
		t.Fatal(res.Code, s.logged())
	}
	if code := b.status(); code != http.StatusOK {
		t.Errorf("%d; log: %s", code, s.logged())
	}
	s.claims = map[string]any{"acr": "gold"}
	weak := s.browser()
	if res := weak.back(weak.begin("/orders")); res.Code == http.StatusSeeOther {
		if code := weak.status(); code != http.StatusUnauthorized {
			t.Errorf("%d with a weaker log-in", code)
		}
	}
}
