package session

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wantAfter asks for what comes after an AT that is dead.
func (b *bench) wantAfter(v *Vault, dead, want string) {
	b.t.Helper()
	b.wantAfterEvent(v, dead, time.Time{}, want)
}

// wantAfterEvent asks for what comes after an AT that is out of date since then.
func (b *bench) wantAfterEvent(v *Vault, dead string, event time.Time, want string) {
	b.t.Helper()
	access, err := v.AfterEvent(context.Background(), b.h, NewSecret(dead), event)
	got := access.Token.Reveal()
	if _, down := errors.AsType[*Unavailable](err); down {
		got = "unavailable"
	} else if errors.Is(err, ErrLast) {
		got = "last"
	} else if errors.Is(err, ErrNoGrant) {
		got = "no grant"
	} else if err != nil {
		got = err.Error()
	}
	if got != want {
		b.t.Errorf("after %s: %s (%v), want %s", dead, got, err, want)
	}
}

// The AS ends the old AT when it rotates the RT: before the pair is here.
func TestWhoHasADeadTokenWaitsForThePairThatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome {
			time.Sleep(3 * time.Second)
			return next(call)
		})
		time.Sleep(85 * time.Second)
		b.want("at1") // due: it is renewed behind
		synctest.Wait()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { b.wantAfter(b.vault, "at1", "at2") })
		}
		all.Wait()
		b.wantAfter(b.vault, "at1", "at2") // and who comes later
		b.wantCalls(1)
	})
}

func TestWhoHasADeadTokenWaitsForThePairOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, other := newShared(t, nil)
		time.Sleep(85 * time.Second)
		hold := b.holdRenewals(b.vault)
		b.want("at1")
		synctest.Wait()
		var all sync.WaitGroup
		all.Go(func() { b.wantAfter(other, "at1", "at2") })
		time.Sleep(2 * time.Second)
		close(hold)
		all.Wait()
		b.wantAfter(other, "at1", "at2")
		b.wantCalls(1)
	})
}

// It is not renewed: the AS has lost it, or it was revoked there.
func TestATokenThatDiedBeforeItsTimeIsRenewedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome {
			time.Sleep(time.Second)
			return next(call)
		})
		b.wantAfter(b.vault, "at1", "last") // it came just now
		b.wantCalls(0)
		time.Sleep(30 * time.Second)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { b.wantAfter(b.vault, "at1", "at2") })
		}
		all.Wait()
		b.wantAfter(b.vault, "at2", "last") // an issuer that calls all inactive is not asked for each request
		b.wantCalls(1)
	})
}

func TestAGrantThatItsIssuerTookBackEndsWhenItsTokenIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(context.Context, int, Grant) Outcome { return Refused{errors.New("invalid_grant")} })
		time.Sleep(30 * time.Second)
		b.wantAfter(b.vault, "at1", "no grant")
		b.want("no grant")
		b.wantCalls(1)
	})
}

func TestAnOutageWhileATokenIsDeadIsNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := false
		b := newBench(t, nil, func(context.Context, int, Grant) Outcome {
			if up {
				return next(1)
			}
			return Unconsumed{Err: errors.New("503")}
		})
		time.Sleep(30 * time.Second)
		b.wantAfter(b.vault, "at1", "unavailable")
		b.want("at1") // for a request that does not ask about it
		up = true
		time.Sleep(time.Minute)
		b.wantAfter(b.vault, "at1", "at2")
	})
}

// The answer got lost: at the AT's end the RT is presented once more, and a
// dead one has come to its end.
func TestAfterALostAnswerADeadTokenIsAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome {
			if call == 1 {
				return Unknown{Err: errors.New("reset")}
			}
			return next(call)
		})
		time.Sleep(85 * time.Second)
		b.want("at1")
		synctest.Wait()
		b.want("at1")
		b.wantCalls(1)
		b.wantAfter(b.vault, "at1", "at3")
		b.wantCalls(2)
	})
}

func TestAfterTheTokenOfAGrantThatCannotBeRenewedNoneComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, always)
		var err error
		b.h, _, err = b.vault.Create(t.Context(), Grant{Issuer: "iss"}, Granted{AccessToken: NewSecret("at1"), ExpiresIn: seconds(100)}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		b.wantAfter(b.vault, "at1", "last")
		b.want("at1")
		b.wantCalls(0)
	})
}

// A user has just logged in, and then the roles change.
func TestATokenFromBeforeAnEventIsRenewedWithoutThePauseAndNoOtherIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome { return next(call) })
		time.Sleep(2 * time.Second)
		b.wantAfter(b.vault, "at1", "last") // it has just come
		b.wantCalls(0)
		event := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { b.wantAfterEvent(b.vault, "at1", event, "at2") })
		}
		all.Wait()
		b.wantCalls(1)
		b.wantAfterEvent(b.vault, "at2", event.Add(-2*time.Second), "last") // newer, whatever its issuer says of it
		time.Sleep(2 * time.Second)
		b.wantAfterEvent(b.vault, "at2", time.Now(), "at3")
		b.wantCalls(2)
	})
}

// What a late event ends is what it was about.
func TestTheGrantsOfASubjectEndThatBeganUntilThenAndNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := crowd(t, NewMemory(time.Now), testRing(t, 1))
		var handles []Handle
		for range 2 {
			g := Grant{Kind: ByRefreshToken, Issuer: "iss", Client: "app"}
			answer := Granted{AccessToken: NewSecret("at"), Refresh: NewSecret("rt"), ExpiresIn: seconds(300), Subject: "alice"}
			h, _, err := v.CreateFor(t.Context(), Browser{Client: "app", User: "alice"}, g, answer, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			handles = append(handles, h)
			time.Sleep(time.Minute)
		}
		until := time.Now().Add(-2 * time.Minute) // when the first began
		if n, err := v.EndSubjectUntil(t.Context(), "iss", "alice", until, EndedRevoked); n != 1 || err != nil {
			t.Errorf("%d ended, %v", n, err)
		}
		for i, h := range handles {
			if _, err := v.Token(t.Context(), h); errors.Is(err, ErrNoGrant) != (i < 1) {
				t.Errorf("grant %d: %v", i, err)
			}
		}
	})
}
