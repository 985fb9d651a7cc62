package caddyoauth

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shortly has the issuer grant tokens that count for two seconds, with more claims.
func (s *street) shortly(more func() map[string]any) {
	s.issuer.reply(func(w http.ResponseWriter, _ *asked) {
		token := s.issuer.access("alice", more(), map[string]any{"exp": time.Now().Add(2 * time.Second).Unix()})
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":2,"access_token":%q}`, token)
	})
}

// A token that has less scope after a refresh is let in nowhere; nor does it keep open
// what it had opened.
func TestWhatIsOpenEndsWhenItsRenewedTokenLacksWhatWasRequired(t *testing.T) {
	for name, row := range map[string]struct{ require, claim, before, after string }{
		"scope":               {"require @ws scope chat", "scope", "chat", "other"},
		"a claim":             {"require @ws claim groups staff", "groups", "staff", "guests"},
		"the last of seventy": {strings.Repeat("require scope chat\n", 69) + "require @ws claim groups staff", "groups", "staff", "guests"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t, "streams {\nclose_code 4401\n}")
			s.require = row.require
			s.open()
			var less atomic.Bool
			s.shortly(func() map[string]any {
				return map[string]any{"scope": "chat", row.claim: map[bool]string{false: row.before, true: row.after}[less.Load()]}
			})
			bearer := s.token().AccessToken
			ws := s.webSocket("Authorization: Bearer " + bearer)
			events := soon(t, "events", s.begin(1, "GET", "/events", bearer)) // of which nothing is required
			before := s.issuer.count()
			await(t, "a renewal", func() bool { ws.echo(aFrame); return s.issuer.count() > before })
			less.Store(true)
			if code, text := ws.closed(); code != 4401 || !strings.Contains(text, "the access token lacks") {
				t.Errorf("closed with %d %q", code, text)
			}
			select {
			case err := <-events.rest:
				t.Errorf("the events end: %v", err)
			default:
			}
		})
	}
}

// How long ago somebody logged in is asked when a connection opens.
func TestALogInThatGrowsOldEndsNothingThatIsOpen(t *testing.T) {
	s := newStreet(t, "")
	s.require = "require max_age 1s"
	s.open()
	at := time.Now().Unix()
	s.shortly(func() map[string]any { return map[string]any{"auth_time": at} })
	ws := s.webSocket("Authorization: Bearer " + s.token().AccessToken)
	await(t, "a new request to be refused", func() bool {
		ws.echo(aFrame)
		return s.status(tokenAnswer{AccessToken: s.issuer.access("alice", map[string]any{"auth_time": at})}) == http.StatusUnauthorized
	})
	before := s.issuer.count()
	await(t, "renewals", func() bool { ws.echo(aFrame); return s.issuer.count() > before+1 })
}

// told is what the upstream saw of renewals, and of what opened connections.
type renewals struct {
	mu     sync.Mutex
	opened map[string]*http.Request // by id
	told   []*http.Request
	status int
}

func (up *renewals) note(r *http.Request) (status int) {
	up.mu.Lock()
	defer up.mu.Unlock()
	seen := r.Clone(r.Context())
	if r.URL.Path == "/renewed" {
		up.told = append(up.told, seen)
		return up.status
	}
	up.opened[r.Header.Get("Oauth-Stream-Id")] = seen
	return 0
}

func (up *renewals) last() (one *http.Request, n int) {
	up.mu.Lock()
	defer up.mu.Unlock()
	if n = len(up.told); n > 0 {
		one = up.told[n-1]
	}
	return one, n
}

func (s *street) renewals() *renewals {
	seen := &renewals{opened: map[string]*http.Request{}, status: http.StatusNoContent}
	inner := s.up.Config.Handler
	s.up.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := seen.note(r); status != 0 {
			w.WriteHeader(status)
			_, _ = w.Write(make([]byte, 1<<20)) // of no interest
			return
		}
		inner.ServeHTTP(w, r)
	})
	return seen
}

func TestTheUpstreamIsToldThatTheTokenOfAnOpenConnectionWasRenewed(t *testing.T) {
	s := &street{deployment: newDeployment(t), up: newTalker(t), more: "copy_claims sub>X-User-Id round>X-Round\nstreams {\non_renewal /renewed\n}"}
	seen := s.renewals()
	s.open()
	var round atomic.Int32
	s.shortly(func() map[string]any { return map[string]any{"round": fmt.Sprint(round.Add(1))} })
	ws := s.webSocket("Authorization: Bearer "+s.token().AccessToken, "Oauth-Stream-Id: mine", "oauth-stream-ID: mine", "Cookie: shard=7")
	var one *http.Request
	await(t, "the upstream to be told twice", func() (ok bool) {
		ws.echo(aFrame)
		var n int
		one, n = seen.last()
		return n > 1
	})
	id := one.Header.Get("Oauth-Stream-Id")
	seen.mu.Lock()
	opened := seen.opened[id]
	seen.mu.Unlock()
	if len(id) < 20 || opened == nil || opened.URL.Path != "/ws" || len(one.Header["Oauth-Stream-Id"]) != 1 || len(opened.Header["Oauth-Stream-Id"]) != 1 {
		t.Fatalf("the id %q is not that of the WebSocket: %v", id, opened)
	}
	bearer, old := one.Header.Get("Authorization"), opened.Header.Get("Authorization")
	if !strings.HasPrefix(bearer, "Bearer ey") || bearer == old || one.Header.Get("X-User-Id") != "alice" || one.Header.Get("X-Round") == opened.Header.Get("X-Round") ||
		one.Method != http.MethodPost || one.ContentLength != 0 || one.Host != opened.Host || one.Header.Get("Cookie") != "shard=7" || one.Header.Get("X-Forwarded-For") != "127.0.0.1" {
		t.Errorf("told by %s %s %d %v", one.Method, one.Host, one.ContentLength, one.Header)
	}
	// What fails is told once, and ends nothing.
	seen.mu.Lock()
	seen.status = http.StatusInternalServerError
	before := len(seen.told)
	seen.mu.Unlock()
	await(t, "the upstream to fail twice", func() bool { ws.echo(aFrame); _, n := seen.last(); return n > before+1 })
	ws.echo(aFrame)
	if log := s.log(); strings.Count(log, "the upstream was not told") != 1 || !strings.Contains(log, "it answered 500") {
		t.Errorf("log: %s", grep(log, "told"))
	}
	if _, _, body := s.ask(http.MethodGet, "/metrics", ""); !strings.Contains(body, `caddy_oauth_streams_renewals_total{outcome="refused"}`) || !strings.Contains(body, `caddy_oauth_streams_renewals_total{outcome="ok"}`) {
		t.Errorf("metrics: %s", grep(body, "streams"))
	}
}

// A client's own header of that name reaches the upstream nowhere, also where there is
// nothing to renew.
func TestTheIDOfAConnectionIsNeverAClients(t *testing.T) {
	s := &street{deployment: newDeployment(t), up: newTalker(t), more: "allow_anonymous\nstreams {\non_renewal /renewed\n}"}
	seen := s.renewals()
	s.open()
	for name, headers := range map[string][]string{
		"anonymous": nil, "a JWT": {"Authorization", "Bearer " + s.issuer.access("alice")}, "a grant": {"Authorization", "Bearer " + s.token().AccessToken},
	} {
		status, _, _ := s.ask(http.MethodGet, "/orders", "", append(headers, "Oauth-Stream-Id", "mine", "Connection", "Oauth-Stream-Id")...)
		seen.mu.Lock()
		for id := range seen.opened {
			if status != http.StatusOK || id == "mine" || (id != "") != (name == "a grant") {
				t.Errorf("%s: %d, and the upstream saw the id %q", name, status, id)
			}
		}
		clear(seen.opened)
		seen.mu.Unlock()
	}
}
