package session

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// telling is a counting store that wakes who listens, when a test says so.
type telling struct {
	*counting

	mu     sync.Mutex
	listen func(Key)
}

func (s *telling) Wake(changed func(Key)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listen = changed
	return func() { s.mu.Lock(); defer s.mu.Unlock(); s.listen = nil }
}

func (s *telling) tell(key Key) { s.mu.Lock(); defer s.mu.Unlock(); s.listen(key) }

// newShared is a bench over a store that another vault writes to as well.
func newShared(t *testing.T, change func(*Options)) (b *bench, store *telling, other *Vault) {
	t.Helper()
	b, counts := newCache(t, false, change)
	store = &telling{counting: counts}
	o := b.vault.cfg.Load().o
	var err error
	if b.vault, err = New(store, testRing(t, 1), o); err != nil {
		t.Fatal(err)
	}
	o.Node = NewID()
	if other, err = New(b.store, testRing(t, 1), o); err != nil {
		t.Fatal(err)
	}
	return b, store, other
}

func TestARowOfASharedStoreIsReadOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, store, _ := newShared(t, nil)
		for range 30 {
			b.want("at1")
			time.Sleep(100 * time.Millisecond)
		}
		if n := store.read(); n != 3 {
			t.Errorf("read %d times in three seconds", n)
		}
	})
}

// A missing wake-up costs a second, and no more.
func TestTheEndAtAnotherNodeIsSeenWithinASecondAlsoWithoutAWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, other := newShared(t, nil)
		b.want("at1")
		if err := other.End(t.Context(), b.h, EndedLogout); err != nil {
			t.Fatal(err)
		}
		time.Sleep(staleMost - 1)
		b.want("at1")
		time.Sleep(time.Nanosecond)
		b.want("no grant")
		if n := b.vault.kept(); n != 0 {
			t.Errorf("%d are kept of an ended grant", n)
		}
	})
}

func TestTheEndAtAnotherNodeIsSeenAtOnceWithAWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, store, other := newShared(t, nil)
		b.want("at1")
		if err := other.End(t.Context(), b.h, EndedLogout); err != nil {
			t.Fatal(err)
		}
		store.tell(b.h.Key())
		b.want("no grant")
	})
}

// The answer was on its way when the row changed, and the news came first.
func TestARowThatWasReadBesideAWakeUpServesOnce(t *testing.T) {
	var w cache
	defer w.close()
	row := Row{Key: Key{1}, Generation: 1, Sealed: []byte("a")}
	now := time.Unix(1, 0)
	_, writes := w.get(row.Key)
	w.changed(row.Key)
	w.keep(&opened{row: row, read: now}, writes)
	if e, _ := w.get(row.Key); e == nil || w.stands(e, now) {
		t.Error("it is taken for what the store has")
	}
}

// What a flight does rests on what the store says, not on what is remembered:
// a renewal elsewhere is seen by the next poll.
func TestARenewalReadsAnewHoweverWarmTheRowIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, other := newShared(t, nil)
		hold, served := b.waitForRenewal(other)
		time.Sleep(staleMost / 10)
		close(hold)
		time.Sleep(staleMost * 6 / 10)
		synctest.Wait()
		select {
		case <-served:
		default:
			t.Error("still waiting for what the store has had for long")
		}
		<-served
		b.wantCalls(1)
	})
}

// holdRenewals lets a vault's renewals wait until the channel is closed.
func (b *bench) holdRenewals(v *Vault) (hold chan struct{}) {
	b.t.Helper()
	hold = make(chan struct{})
	o := v.cfg.Load().o
	renew := o.Renew
	o.Renew = func(ctx context.Context, g Grant) Outcome { <-hold; return renew(ctx, g) }
	if err := v.Apply(testRing(b.t, 1), o); err != nil {
		b.t.Fatal(err)
	}
	return hold
}

// waitForRenewal lets one vault renew what has run out, until hold is closed, and
// a request at the bench's own wait for that, until served is.
func (b *bench) waitForRenewal(other *Vault) (hold, served chan struct{}) {
	b.t.Helper()
	hold, served = b.holdRenewals(other), make(chan struct{})
	time.Sleep(101 * time.Second)
	go func() { _, _ = other.Token(b.t.Context(), b.h) }()
	synctest.Wait()
	go func() { defer close(served); b.want("at2") }()
	return hold, served
}

// Where it lay idle here, it may have been used elsewhere.
func TestAGrantIsNotEndedAsIdleOverAnOldRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, other := newShared(t, func(o *Options) { o.Idle = 10 * time.Second })
		time.Sleep(10*time.Second - staleMost/4)
		if _, err := b.vault.look(t.Context(), b.vault.cfg.Load(), b.h, false); err != nil { // marks nothing
			t.Fatal(err)
		}
		if _, err := other.Token(t.Context(), b.h); err != nil { // marks it
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(staleMost / 2)
		b.want("at1")
	})
}

func TestAFlightIsWokenByItsRowAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, store, other := newShared(t, nil)
		hold, served := b.waitForRenewal(other)
		time.Sleep(2 * time.Second) // it polls each half second by now at most
		close(hold)
		synctest.Wait()
		store.tell(someKey(1))
		synctest.Wait()
		select {
		case <-served:
			t.Error("served by a foreign wake-up, or by chance: the test shows nothing")
		default:
		}
		store.tell(b.h.Key())
		synctest.Wait()
		select {
		case <-served:
		default:
			t.Error("the flight still sleeps")
		}
	})
}
