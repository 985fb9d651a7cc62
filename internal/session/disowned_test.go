package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// newRobot is a bench whose grant is run again; its AT lives 100 s.
func newRobot(t *testing.T, answer func(call int) Outcome) *bench {
	b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome { return answer(call) })
	var err error
	b.h, _, err = b.vault.Create(t.Context(), Grant{Kind: ByRunningAgain, Credentials: NewSecret("id:secret")},
		Granted{AccessToken: NewSecret("at1"), ExpiresIn: seconds(100)}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A database that failed ended every grant of client_credentials: its server
// says invalid_client then, as it does of a client that was revoked.
func TestAClientThatIsUnknownForAMinuteKeepsItsGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked moments
		b := newRobot(t, func(call int) Outcome {
			if asked.note(); time.Since(asked.all()[0]) < 60*time.Second {
				return BadClient{errTest}
			}
			return next(call)
		})
		end := time.Now().Add(100 * time.Second)
		for time.Now().Before(end.Add(90 * time.Second)) {
			access, err := b.vault.Token(t.Context(), b.h)
			switch _, ours := errors.AsType[*Unavailable](err); {
			case errors.Is(err, ErrNoGrant):
				t.Fatal("the grant ended")
			case err != nil && (!ours || time.Now().Before(end)):
				t.Fatalf("%v before the end of the access token: %v", time.Until(end), err)
			case err == nil && access.Token.Reveal() == "at1" && time.Now().After(end):
				t.Fatal("a dead access token serves")
			}
			time.Sleep(time.Second)
		}
		if access, err := b.vault.Token(t.Context(), b.h); err != nil || access.Token.Reveal() == "at1" {
			t.Errorf("after the outage: %v", err)
		}
	})
}

func TestAClientThatStaysUnknownForTwoMinutesLosesItsGrantAfterSixCallsAtMost(t *testing.T) {
	for name, every := range map[string]time.Duration{"busy": 100 * time.Millisecond, "now and then": 7 * time.Second, "rarely": 50 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var asked moments
			b := newRobot(t, func(int) Outcome { asked.note(); return BadClient{errTest} })
			for {
				time.Sleep(every)
				_, err := b.vault.Token(t.Context(), b.h)
				if errors.Is(err, ErrNoGrant) {
					break
				}
				if all := asked.all(); len(all) > 0 && time.Since(all[0]) > 5*time.Minute {
					t.Fatalf("%s: after %v the grant lives: %v", name, time.Since(all[0]), err)
				}
			}
			all := asked.all()
			if stood := all[len(all)-1].Sub(all[0]); stood < 2*time.Minute || len(all) < 3 || len(all) > 6 {
				t.Errorf("%s: the grant ended after %v and %d calls", name, stood, len(all))
			}
		})
	}
}

func TestWhatIsSaidOnceInTenMinutesHasNotStoodForTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRobot(t, func(int) Outcome { return BadClient{errTest} })
		time.Sleep(101 * time.Second)
		b.want("unavailable")
		time.Sleep(10 * time.Minute)
		b.want("unavailable")
	})
}

func TestAnyOtherAnswerBetweenBeginsTheTwoMinutesAnew(t *testing.T) {
	for name, other := range map[string]Outcome{"503": Unconsumed{Err: errTest}, "nothing": Unknown{Err: errTest}, "not sent": NotSent{errTest}} {
		synctest.Test(t, func(t *testing.T) {
			b := newRobot(t, func(call int) Outcome {
				if call%4 == 0 {
					return other
				}
				return BadClient{errTest}
			})
			for began := time.Now(); time.Since(began) < 50*time.Minute; time.Sleep(time.Second) {
				if _, err := b.vault.Token(t.Context(), b.h); errors.Is(err, ErrNoGrant) {
					t.Fatalf("%s: the grant ended after %d calls", name, b.made())
				}
			}
		})
	}
}

// Since when stands in the record: a restart, or another node, goes on counting.
func TestSinceWhenAClientIsUnknownOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRobot(t, func(int) Outcome { return BadClient{errTest} })
		time.Sleep(101 * time.Second)
		first := time.Now()
		for ; time.Since(first) < 5*time.Minute; time.Sleep(20 * time.Second) {
			o := b.vault.cfg.Load().o
			o.Node = NewID()
			other, err := New(b.store, testRing(t, 1), o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = other.Token(t.Context(), b.h)
			if err := other.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if errors.Is(err, ErrNoGrant) {
				break
			}
		}
		if stood := time.Since(first); stood < 2*time.Minute || stood > 3*time.Minute {
			t.Errorf("the grant ended after %v", stood)
		}
		if b.made() > 6 {
			t.Errorf("%d calls", b.made())
		}
	})
}
