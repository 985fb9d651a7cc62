package caddyoauth

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// rotator is an issuer that ends a grant's access token as soon as it is asked
// for the next one, and takes its time to answer. Its tokens live for two
// seconds.
type rotator struct {
	*grantor
	jwt  bool
	pace time.Duration

	mu    sync.Mutex
	owner map[string]string // who a live access token is of
}

func newRotator(tb testing.TB, jwt bool) *rotator {
	i := &rotator{jwt: jwt, pace: 150 * time.Millisecond, owner: map[string]string{}}
	i.grantor = newGrantor(tb, func(m map[string]any) {
		m["authorization_endpoint"] = m["issuer"].(string) + "/authorize?tenant=1"
		m["end_session_endpoint"] = m["issuer"].(string) + "/end"
		m["authorization_response_iss_parameter_supported"] = true
	})
	i.reply(i.rotate)
	return i
}

// kill ends what a client has.
func (i *rotator) kill(who string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for tok, owner := range i.owner {
		if owner == who {
			delete(i.owner, tok)
		}
	}
}

func (i *rotator) rotate(w http.ResponseWriter, q *asked) {
	switch q.Path {
	case "/introspect":
		i.mu.Lock()
		_, alive := i.owner[q.Form.Get("token")]
		i.mu.Unlock()
		if !alive {
			_, _ = io.WriteString(w, `{"active":false}`)
			return
		}
		fmt.Fprintf(w, `{"active":true,"iss":%q,"aud":"api","sub":"alice","exp":%d}`, i.URL, i.clock.now().Add(accessLife).Unix())
	case "/token":
		who := q.client()
		if q.Form.Get("grant_type") != tokenrequest.ClientCredentials {
			who = "alice"
		}
		i.kill(who)
		time.Sleep(i.pace)
		tok := fmt.Sprint("opaque-", i.serial.Add(1))
		if i.jwt {
			tok = i.access(who)
		}
		i.mu.Lock()
		i.owner[tok] = who
		i.mu.Unlock()
		answer := map[string]any{"token_type": "Bearer", "expires_in": 2, "access_token": tok}
		if who == "alice" {
			answer["refresh_token"] = fmt.Sprintf("refresh-token-of-the-issuer-%d", i.serial.Add(1))
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
}

// Twelve clients for some refreshes: no client is sent away for a token that a
// refresh has ended.
func TestNoClientIsRefusedWhileTheIssuerEndsTheOldTokenForTheNewOne(t *testing.T) {
	for name, jwt := range map[string]bool{"opaque tokens": false, "JWTs, each asked about": true} {
		for _, kind := range []string{tokenrequest.ClientCredentials, tokenrequest.AuthorizationCode} {
			t.Run(name+", "+kind, func(t *testing.T) {
				issuer := newRotator(t, jwt)
				words := "cache 0s\nrate 100000"
				if jwt {
					words += "\nalways"
				}
				g := newAsker(t, issuer.grantor, words, `token_endpoint /auth {
					grant_types client_credentials authorization_code
					public_clients app
				}`)
				var reference string
				if kind == tokenrequest.ClientCredentials {
					reference = g.token("orders").AccessToken
				} else {
					reference = g.answer(g.post("/auth", "grant_type=authorization_code&client_id=app&code=c&code_verifier=v")).AccessToken
				}
				t.Parallel() // gates are provisioned one after the other
				issuer.take()
				g.hammer(12, time.Now().Add(5*time.Second), func() int {
					return g.send(http.MethodGet, "/orders", "", "Authorization", "Bearer "+reference).Code
				})
				renewals := 0
				for _, q := range issuer.take() {
					if q.Path == "/token" {
						renewals++
					}
				}
				if renewals < 2 || renewals > 4 {
					t.Errorf("%d renewals in 5 s of tokens that live for 2 s", renewals)
				}
			})
		}
	}
}

// hammer lets many ask until a time, and wants 200 for all.
func (g *gate) hammer(clients int, until time.Time, ask func() int) {
	g.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	for range clients {
		all.Go(func() {
			for time.Now().Before(until) {
				status := ask()
				mu.Lock()
				got[status]++
				mu.Unlock()
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	all.Wait()
	if len(got) != 1 || got[http.StatusOK] < clients {
		reasons := map[string]int{}
		for _, line := range g.logs.FilterMessage("refused").All() {
			reasons[fmt.Sprint(line.ContextMap()["reason"], ": ", line.ContextMap()["detail"])]++
		}
		g.Errorf("statuses: %v; refused: %v", got, reasons)
	}
}

func TestASessionIsNotRefusedWhileItsTokenIsRotated(t *testing.T) {
	issuer := newRotator(t, false)
	s := &portal{gate: newAsker(t, issuer.grantor, "cache 0s\nrate 100000", "login\n"+endpoint), issuer: issuer.grantor}
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		if q.Path == "/token" && q.Form.Get("grant_type") == tokenrequest.AuthorizationCode {
			s.tokens = map[string]any{"access_token": "opaque-of-login", "expires_in": 2}
			issuer.mu.Lock()
			issuer.owner["opaque-of-login"] = "alice"
			issuer.mu.Unlock()
			s.token(w, q)
			return
		}
		issuer.rotate(w, q)
	})
	b := s.browser().logIn()
	cookie := "__Host-oauth=" + b.cookies["__Host-oauth"]
	s.hammer(12, time.Now().Add(3*time.Second), func() int {
		return s.send(http.MethodGet, "/orders", "", "Cookie", cookie).Code
	})
}

// The issuer has taken the access token back before its time. What became of the
// grant, one refresh tells.
func TestATokenThatTheIssuerTookBackCostsOneRefresh(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(i *rotator, w http.ResponseWriter, q *asked)
		want   int
		reason string
	}{
		"the token alone": {(*rotator).rotate, http.StatusOK, ""},
		"the grant": {func(_ *rotator, w http.ResponseWriter, _ *asked) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
		}, http.StatusUnauthorized, verdict.NoGrant},
		"and is down": {func(_ *rotator, w http.ResponseWriter, _ *asked) { w.WriteHeader(http.StatusServiceUnavailable) },
			http.StatusServiceUnavailable, verdict.GrantUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newRotator(t, false)
			g := newAsker(t, issuer.grantor, "cache 0s", `token_endpoint /auth {
				grant_types authorization_code
				public_clients app
			}
			session {
				store memory
				refresh_wait 2s
			}`)
			reference := g.answer(g.post("/auth", "grant_type=authorization_code&client_id=app&code=c&code_verifier=v")).AccessToken
			if status, _ := g.get(reference); status != http.StatusOK {
				t.Fatal(status, g.logged())
			}
			issuer.reply(func(w http.ResponseWriter, q *asked) {
				if q.Path == "/token" {
					c.answer(issuer, w, q)
					return
				}
				issuer.rotate(w, q)
			})
			t.Parallel()                       // gates are provisioned one after the other
			time.Sleep(600 * time.Millisecond) // within the first quarter of its life nothing is renewed
			issuer.kill("alice")
			issuer.take()
			status, _ := g.get(reference)
			if status != c.want || c.reason != "" && !strings.Contains(g.logged(), `"reason":"`+c.reason+`"`) {
				t.Errorf("%d, want %d %s: %s", status, c.want, c.reason, g.logged())
			}
			if status, _ := g.get(reference); status != c.want {
				t.Errorf("asked again: %d", status)
			}
			var calls int
			for _, q := range issuer.take() {
				if q.Path == "/token" {
					calls++
				}
			}
			if calls != 1 && (c.want != http.StatusServiceUnavailable || calls > 4) {
				t.Errorf("%d calls of the token endpoint", calls)
			}
		})
	}
}
