package caddyoauth

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
)

// offBy makes the grantor's clock be off, as its access tokens tell; they count
// from then on, and live for accessLife.
func (i *grantor) offBy(off time.Duration) {
	i.reply(func(w http.ResponseWriter, q *asked) {
		if q.Path != "/token" {
			i.grant(w, q)
			return
		}
		_ = json.NewEncoder(w).Encode(i.answerOffBy(off))
	})
}

func (i *grantor) answerOffBy(off time.Duration) map[string]any {
	now := i.clock.now().Add(off)
	return map[string]any{
		"token_type": "Bearer", "expires_in": int(accessLife.Seconds()), "refresh_token": "refresh-token-of-the-issuer",
		"access_token": i.access("alice", map[string]any{"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(accessLife).Unix()}),
	}
}

// wantClocks looks for the one line that tells an operator what is wrong.
func (g *gate) wantClocks(what string, words ...string) {
	g.Helper()
	for _, line := range g.logs.All() {
		text, _ := json.Marshal(line.ContextMap())
		found := strings.Contains(string(text), "the clocks of ")
		for _, word := range words {
			found = found && strings.Contains(string(text), word)
		}
		if found && line.Level == zapcore.ErrorLevel {
			return
		}
	}
	g.Errorf("%s: no ERROR tells of the clocks by %q: %s", what, words, g.logged())
}

// An issuer two minutes behind gave 401 for a minute in every cycle, and one
// ahead gave 401 after each refresh.
func TestAFreshTokenThatFailsByTimeAloneIsOurOutage(t *testing.T) {
	for name, row := range map[string]struct {
		off   time.Duration
		words []string
	}{
		"behind": {-accessLife - 2*time.Minute, []string{"has run out 2m", "7m", "its clock is behind", "skew allows 30s"}},
		"ahead":  {10 * time.Minute, []string{"counts only in ", "from now", "its clock is ahead", "skew allows 30s"}},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newGrantor(t, nil)
			g := newGate(t, issuer, publicEndpoint)
			tok := g.answer(g.post("/auth", codeForm))
			g.skip(accessLife)
			issuer.take()
			issuer.offBy(row.off)
			for range 20 {
				res := g.send(http.MethodGet, "/orders", "", "Authorization", "Bearer "+tok.AccessToken)
				if res.Code != http.StatusServiceUnavailable || res.Header().Get("Retry-After") == "" || res.Header().Get("WWW-Authenticate") != "" {
					t.Fatalf("%d %v", res.Code, res.Header())
				}
			}
			if n := issuer.count(); n != 1 {
				t.Errorf("20 requests made %d calls", n)
			}
			if len(g.saw) > 0 {
				t.Error("a request reached the upstream")
			}
			g.wantClocks(name, row.words...)
			issuer.reply(nil)
			g.skip(time.Minute)
			if status, _ := g.get(tok.AccessToken); status != http.StatusOK {
				t.Errorf("once the clocks agree: %d; log: %s", status, g.logged())
			}
		})
	}
}

func TestWhileTheOldTokenLivesClocksThatDifferCostNothing(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	tok := g.answer(g.post("/auth", codeForm))
	_, before := g.get(tok.AccessToken)
	g.skip(accessLife - 20*time.Second)
	issuer.take()
	issuer.offBy(time.Hour)
	for issuer.count() == 0 { // it is refreshed behind
		if status, upstream := g.get(tok.AccessToken); status != http.StatusOK || upstream != before {
			t.Fatalf("%d %s", status, upstream)
		}
	}
	if status, upstream := g.get(tok.AccessToken); status != http.StatusOK || upstream != before {
		t.Errorf("%d %s; log: %s", status, upstream, g.logged())
	}
}

func TestNoGrantBeginsWithATokenThatFailsByTimeAlone(t *testing.T) {
	for name, off := range map[string]time.Duration{"behind": -2 * accessLife, "ahead": accessLife} {
		issuer := newGrantor(t, nil)
		g := newGate(t, issuer, publicEndpoint)
		issuer.offBy(off)
		g.refused(name, g.post("/auth", codeForm), "503 temporarily_unavailable")
		g.wantClocks(name)
		var given bool
		for _, q := range issuer.take() {
			given = given || q.Path == "/revoke" && q.Form.Get("token") == "refresh-token-of-the-issuer"
		}
		if !given {
			t.Errorf("%s: the tokens were not given back", name)
		}

		s := newPortal(t, "", nil)
		b := s.browser()
		s.tokens = map[string]any{"access_token": s.issuer.answerOffBy(off)["access_token"]}
		b.want(name, b.back(b.begin("/")), http.StatusServiceUnavailable, "")
		s.wantClocks(name)
		s.tokens = nil
		early := s.clock.now().Add(off)
		s.claims = map[string]any{"iat": early.Unix(), "nbf": early.Unix(), "exp": early.Add(accessLife).Unix()}
		b.want(name+", ID token", b.back(b.begin("/")), http.StatusServiceUnavailable, "")
		s.wantClocks(name+", ID token", "ID token")
	}
}

// A client's own token that has run out is the client's affair, whatever the
// clocks are.
func TestATokenOfAClientsOwnThatHasRunOutIsRefused(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	dead := issuer.answerOffBy(-2 * accessLife)["access_token"].(string)
	if status, _ := g.get(dead); status != http.StatusUnauthorized {
		t.Error(status)
	}
}

// The access token ended by its own word, and the gateway took the issuer's: its
// client got 401 for as long as that was longer.
func TestATokenIsRefreshedAtItsOwnEndWhateverExpiresInSays(t *testing.T) {
	for name, said := range map[string]map[string]any{
		"missing": {}, "too long": {"expires_in": 3600}, "a text too long": {"expires_in": "3600"}, "no number": {"expires_in": "soon"},
		"zero": {"expires_in": 0}, "negative": {"expires_in": -5}, "beyond all time": {"expires_in": 1e300},
	} {
		for kind, claims := range map[string]map[string]any{"iat": {"iat": time.Now().Unix()}, "no iat": {}} {
			issuer := newGrantor(t, nil)
			g := newGate(t, issuer, publicEndpoint)
			const life = 60 * time.Second
			issuer.reply(func(w http.ResponseWriter, q *asked) {
				now := issuer.clock.now()
				its := map[string]any{"exp": now.Add(life).Unix()}
				if len(claims) > 0 {
					its["iat"] = now.Unix()
				}
				answer := map[string]any{"token_type": "Bearer", "refresh_token": "refresh-token-of-the-issuer", "access_token": issuer.access("alice", its)}
				maps.Copy(answer, said)
				_ = json.NewEncoder(w).Encode(answer)
			})
			tok := g.answer(g.post("/auth", codeForm))
			for range 5 {
				issuer.take()
				g.skip(life + 31*time.Second) // what skew allows is over too
				if status, _ := g.get(tok.AccessToken); status != http.StatusOK {
					t.Fatalf("%s, %s: %d; log: %s", name, kind, status, g.logged())
				}
				if n := issuer.count(); n != 1 {
					t.Errorf("%s, %s: %d calls", name, kind, n)
				}
			}
		}
	}
}

// Of an opaque token only the issuer knows when it runs out, and tells when it is
// asked about it.
func TestAnOpaqueTokenIsRefreshedWhenTheIssuerSaysThatItHasRunOut(t *testing.T) {
	issuer := newGrantor(t, nil)
	const life = time.Minute
	var ends atomic.Int64
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		switch q.Path {
		case "/token":
			now := issuer.clock.now()
			ends.Store(now.Add(life).Unix())
			_ = json.NewEncoder(w).Encode(map[string]any{"token_type": "Bearer", "expires_in": 3600, "refresh_token": "refresh-token-of-the-issuer",
				"access_token": fmt.Sprint("opaque-", now.UnixNano())})
		case "/introspect":
			_ = json.NewEncoder(w).Encode(map[string]any{"active": true, "iss": issuer.URL, "aud": "api", "sub": "alice", "exp": ends.Load()})
		}
	})
	g := newAsker(t, issuer, "", publicEndpoint)
	tok := g.answer(g.post("/auth", codeForm))
	for range 3 {
		if status, _ := g.get(tok.AccessToken); status != http.StatusOK {
			t.Fatalf("fresh: %d; log: %s", status, g.logged())
		}
		g.skip(life + 31*time.Second)
		if status, _ := g.get(tok.AccessToken); status != http.StatusOK {
			t.Fatalf("after it ran out: %d; log: %s", status, g.logged())
		}
	}
	for what, off := range map[string]struct{ ends, starts time.Duration }{"has run out": {ends: -life}, "does not count yet": {ends: 2 * life, starts: life}} {
		g.skip(life + 31*time.Second)
		issuer.reply(func(w http.ResponseWriter, q *asked) {
			now := issuer.clock.now()
			switch q.Path {
			case "/token":
				_ = json.NewEncoder(w).Encode(map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": fmt.Sprint("opaque-", now.UnixNano())})
			case "/introspect":
				_ = json.NewEncoder(w).Encode(map[string]any{"active": true, "iss": issuer.URL, "aud": "api", "sub": "alice",
					"exp": now.Add(off.ends).Unix(), "nbf": now.Add(off.starts).Unix()})
			}
		})
		for range 5 {
			if status, _ := g.get(tok.AccessToken); status != http.StatusServiceUnavailable {
				t.Fatalf("%s: %d; log: %s", what, status, g.logged())
			}
		}
		g.wantClocks(what, what)
	}
}
