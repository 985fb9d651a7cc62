package session

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// The AS answered with somebody else's token, and the store does not take the
// end: the token serves nobody meanwhile either.
func TestAnotherSubjectsTokenServesNobodyWhileTheEndIsNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *bench
		var store *broken
		b, store = newBroken(t, func(_ context.Context, call int, _ Grant) Outcome {
			store.down.Store(true)
			answer := next(call)
			answer.Subject = "somebody else"
			return answer
		})
		time.Sleep(90 * time.Second)
		b.want("at1") // renewed behind
		synctest.Wait()
		time.Sleep(staleMost)
		b.want("unavailable")
		time.Sleep(15 * time.Second)
		for range 3 {
			b.want("unavailable")
			time.Sleep(staleMost)
		}
		store.down.Store(false)
		b.want("unavailable") // it is renewed, for all that the store knows
		time.Sleep(10 * time.Second)
		b.want("no grant")
		b.wantCalls(1)
		if !slices.Equal(b.revoked, []string{"at2/rt2"}) {
			t.Errorf("given back: %v", b.revoked)
		}
	})
}

// The one who waits is not served by it.
func TestAnotherSubjectsTokenIsNotHandedToWhoWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *bench
		var store *broken
		b, store = newBroken(t, func(_ context.Context, call int, _ Grant) Outcome {
			store.down.Store(true)
			answer := next(call)
			answer.Subject = "somebody else"
			return answer
		})
		time.Sleep(101 * time.Second)
		b.want("unavailable")
		store.down.Store(false)
	})
}

// noEnds is a store that takes no end before a certain time.
type noEnds struct {
	*Memory
	until time.Time
}

func (s *noEnds) CompareAndSwap(ctx context.Context, old Version, next Row) error {
	if next.Dead && time.Now().Before(s.until) {
		return errTest
	}
	return s.Memory.CompareAndSwap(ctx, old, next)
}

// The AS refused, and this node knows it, though the store does not: when the
// lease is over, a row with an open intent is no crash here.
func TestARefusalThatIsNotSavedYetIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome { return Refused{errTest} })
		b.vault.store = &noEnds{b.store, time.Now().Add(161 * time.Second)}
		time.Sleep(101 * time.Second)
		for range 110 {
			b.want("unavailable")
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(20 * time.Second)
		b.want("no grant")
		b.wantCalls(1)
	})
}
