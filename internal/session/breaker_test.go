package session

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// stumbler is a server that fails with the grants of one user, and knows nothing
// of why.
type stumbler struct {
	*bench
	down    bool // for everybody
	asked   int  // whether it works
	grants  []Handle
	failure func() Outcome
}

func newStumbler(t *testing.T, failure func() Outcome) *stumbler {
	s := &stumbler{failure: failure}
	s.bench = newBench(t, func(o *Options) {
		o.Works = func(context.Context, Grant) bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.asked++
			return !s.down
		}
	}, func(_ context.Context, call int, g Grant) Outcome {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.down || g.Subject == "mallory" {
			return s.failure()
		}
		return next(call)
	})
	for n := range 20 {
		h, _, err := s.vault.Create(t.Context(), Grant{Kind: ByRefreshToken, Issuer: "iss", Subject: "mallory", Client: "client"},
			Granted{AccessToken: NewSecret(fmt.Sprint("x", n)), Refresh: NewSecret(fmt.Sprint("y", n)), ExpiresIn: seconds(100)}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		s.grants = append(s.grants, h)
	}
	return s
}

// all lets each of mallory's grants be asked for, in vain.
func (s *stumbler) all() {
	for _, h := range s.grants {
		ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Millisecond)
		if a, err := s.vault.Token(ctx, h); err == nil {
			s.t.Errorf("a token %v", a)
		}
		cancel()
	}
	synctest.Wait()
}

// Of the holder of many grants that the server fails with, or does not answer
// about, one after the other had it left alone for everybody.
func TestGrantsThatTheServerStumblesOverOpenNoBreakerForOthers(t *testing.T) {
	for name, failure := range map[string]func() Outcome{
		"500":                  func() Outcome { return Unconsumed{Err: errTest} },
		"503 with Retry-After": func() Outcome { return Unconsumed{Err: errTest, RetryAfter: time.Minute} },
		"no answer":            func() Outcome { return Unknown{Err: errTest} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStumbler(t, failure)
				time.Sleep(101 * time.Second)
				for range 5 {
					s.all()
					if open := s.vault.Breakers(); len(open) > 0 {
						t.Fatalf("open: %v", open)
					}
					time.Sleep(11 * time.Second)
				}
				if access, err := s.vault.Token(t.Context(), s.h); err != nil {
					t.Errorf("the other user: %v, %v", access, err)
				}
			})
		})
	}
}

func TestAServerThatIsDownForAllIsLeftAloneAndAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStumbler(t, func() Outcome { return Unconsumed{Err: errTest} })
		s.down = true
		time.Sleep(101 * time.Second)
		s.all()
		if open := s.vault.Breakers(); len(open) != 1 || s.asked != 1 {
			t.Errorf("open: %v; asked %d times whether it works", open, s.asked)
		}
		// It comes back, and one of those that it stumbles over goes first.
		s.down = false
		time.Sleep(s.vault.Breakers()["iss"] + time.Millisecond)
		s.all()
		if open := s.vault.Breakers(); len(open) > 0 {
			t.Errorf("open after it came back: %v", open)
		}
		if _, err := s.vault.Token(t.Context(), s.h); err != nil {
			t.Error(err)
		}
	})
}

// A site's client whose secret is out of date is refused, grant after grant.
func TestASecretThatIsOutOfDateOpensNoBreakerForAnotherAsker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) {
			o.BreakerAfter = 1
			o.Asker = func(g *Grant) string { return g.App.Reveal() }
		}, func(_ context.Context, call int, g Grant) Outcome {
			if g.App.Reveal() == "stale" {
				return BadClient{Err: errTest}
			}
			return next(call)
		})
		stale, _, err := b.vault.Create(t.Context(), Grant{Kind: ByRefreshToken, Issuer: "iss", App: NewSecret("stale")},
			Granted{AccessToken: NewSecret("x"), Refresh: NewSecret("y"), ExpiresIn: seconds(100)}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(101 * time.Second)
		if _, err := b.vault.Token(t.Context(), stale); err == nil || len(b.vault.Breakers()) != 1 {
			t.Errorf("with the stale secret: %v, %v", err, b.vault.Breakers())
		}
		if access, err := b.vault.Token(t.Context(), b.h); err != nil {
			t.Errorf("the other: %v, %v", access, err)
		}
	})
}

// A probe that cannot be sent, or that panics, is no answer.
func TestAPanicWhileAskingWhetherAServerWorksIsNone(t *testing.T) {
	c := &config{o: Options{Works: func(context.Context, Grant) bool { panic(errors.New("a bug")) }}}
	if c.works(t.Context(), Grant{}) {
		t.Error("it works")
	}
}
