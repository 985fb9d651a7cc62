package session

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// newStranger is a bench whose AS answers with another user's token, while the
// store goes down.
func newStranger(t *testing.T) (b *bench, store *broken) {
	t.Helper()
	b, store = newBroken(t, func(_ context.Context, call int, _ Grant) Outcome {
		store.down.Store(true)
		answer := next(call)
		answer.Subject = "somebody else"
		return answer
	})
	return b, store
}

// The AS answered with another user's token, and the store does not take the
// end: the token serves no request meanwhile either.
func TestAnotherSubjectsTokenServesNoRequestWhileTheEndIsNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, store := newStranger(t)
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
		b, store := newStranger(t)
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

// unconfirmed is a store whose replicas do not answer: it shows what it has, and
// says of nothing that it will last. What it is to write it does not.
type unconfirmed struct {
	*Memory
	down    atomic.Bool
	mu      sync.Mutex
	intents map[ID]bool // that it was to write
}

func (s *unconfirmed) CompareAndSwap(ctx context.Context, old Version, next Row) error {
	if !s.down.Load() {
		return s.Memory.CompareAndSwap(ctx, old, next)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intents[next.Intent.ID] = true
	return errTest
}

func (s *unconfirmed) Confirmed(ctx context.Context, key Key) (Row, error) {
	if s.down.Load() {
		return Row{}, errTest
	}
	return s.Memory.Load(ctx, key)
}

// An outage of hours must not leave a write behind of each request.
func TestOneIntentAtATimeIsOnItsWayIntoAStoreThatTakesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, always)
		store := &unconfirmed{Memory: b.store, intents: map[ID]bool{}}
		b.vault.store = store
		time.Sleep(101 * time.Second)
		store.down.Store(true)
		for range 100 {
			b.want("unavailable")
			time.Sleep(time.Second)
		}
		if len(store.intents) != 1 {
			t.Errorf("%d intents", len(store.intents))
		}
		b.wantCalls(0)
		store.down.Store(false)
		time.Sleep(8 * time.Second)
		b.want("at2")
		b.wantCalls(1)
	})
}

// undone is a store that answers an outcome with what a failover undoes then:
// the other write it speaks of is gone.
type undone struct {
	*Memory
	once sync.Once
}

func (s *undone) CompareAndSwap(ctx context.Context, old Version, next Row) (err error) {
	if next.Generation != old.Generation {
		s.once.Do(func() { err = ErrConflict })
	}
	if err != nil {
		return err
	}
	return s.Memory.CompareAndSwap(ctx, old, next)
}

func TestAPairIsKeptIfWhatCameBeforeItWasUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, always)
		b.vault.store = &undone{Memory: b.store}
		time.Sleep(101 * time.Second)
		b.want("at2")
		time.Sleep(10 * time.Second)
		b.wantStored("at2")
		time.Sleep(30 * time.Second)
		b.want("at2")
		b.wantCalls(1)
	})
}
