package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// noted is a Watcher that remembers.
type noted struct {
	mu   sync.Mutex
	told []string
}

func (n *noted) GrantEnded(why string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, why)
}

func (n *noted) want(t *testing.T, what string, want ...string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.told) != len(want) || len(want) > 0 && n.told[0] != want[0] {
		t.Errorf("%s: told %q, want %q", what, n.told, want)
	}
}

func TestWhoeverWatchesAGrantIsToldAtOnceThatThisNodeHasEndedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newCache(t, true, nil)
		one, two, gone := new(noted), new(noted), new(noted)
		for _, w := range []*noted{one, two, gone} {
			b.vault.Watch(b.h.Key(), w)
		}
		b.vault.Unwatch(b.h.Key(), gone)
		synctest.Wait()
		one.want(t, "while it lives")
		if err := b.vault.End(t.Context(), b.h, EndedLogout); err != nil {
			t.Fatal(err)
		}
		one.want(t, "one", EndedLogout)
		two.want(t, "another of the same grant", EndedLogout)
		gone.want(t, "one that watches no more")
		late := new(noted)
		b.vault.Watch(b.h.Key(), late)
		synctest.Wait()
		late.want(t, "one that came late", EndedLogout)
		time.Sleep(time.Minute)
		one.want(t, "a minute later", EndedLogout)
		if err := b.vault.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAnEndOnAnotherNodeIsToldWithinASecondHoweverTheStoreTells(t *testing.T) {
	for name, lose := range map[string]func(*hearing, Key){
		"it tells":                func(s *hearing, key Key) { s.tell(key) },
		"the line is another one": func(s *hearing, _ Key) { s.line.Add(1) },
		"the line is broken":      func(s *hearing, _ Key) { s.deaf.Store(true) },
	} {
		synctest.Test(t, func(t *testing.T) {
			b, store, other := newHearing(t)
			w := new(noted)
			b.vault.Watch(b.h.Key(), w)
			time.Sleep(10 * time.Second)
			w.want(t, name+": while it lives")
			if err := other.End(t.Context(), b.h, EndedAdmin); err != nil {
				t.Fatal(err)
			}
			lose(store, b.h.Key())
			time.Sleep(staleMost)
			synctest.Wait()
			w.want(t, name, EndedAdmin)
		})
	}
}

// mute is a store that tells nothing.
type mute struct {
	Store
	fails atomic.Bool
}

func (m *mute) Load(ctx context.Context, key Key) (Row, error) {
	if m.fails.Load() {
		return Row{}, errors.New("no answer")
	}
	return m.Store.Load(ctx, key)
}

func TestAnEndInAStoreThatTellsNothingIsSeenWithinASecondOfItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, counts := newCache(t, false, nil)
		store := &mute{Store: counts}
		o := b.vault.cfg.Load().o
		vault, err := New(store, testRing(t, 1), o)
		if err != nil {
			t.Fatal(err)
		}
		w := new(noted)
		vault.Watch(b.h.Key(), w)
		time.Sleep(5 * time.Second)
		store.fails.Store(true)
		if err := b.vault.End(t.Context(), b.h, EndedReuse); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.want(t, "while the store does not answer: that is no end")
		store.fails.Store(false)
		time.Sleep(staleMost)
		w.want(t, "once it answers", EndedReuse)
		if err := vault.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestARenewalIsNoEndForThoseWhoWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newCache(t, false, nil)
		w := new(noted)
		b.vault.Watch(b.h.Key(), w)
		for range 3 {
			time.Sleep(5 * time.Minute)
			if _, err := b.vault.Token(t.Context(), b.h); err != nil {
				t.Fatal(err)
			}
		}
		if b.calls < 3 {
			t.Fatalf("renewed %d times: nothing is shown", b.calls)
		}
		w.want(t, "after renewals")
		if err := b.vault.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.want(t, "when the vault closes", EndedClosed)
	})
}

// What is open for hours costs the store nothing, as long as it is sure of what
// it was told.
func TestWhatIsWatchedIsReadOnceWhereAllIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, store, _ := newHearing(t)
		time.Sleep(10 * time.Minute) // nothing is kept any more
		before := store.read()
		w := new(noted)
		b.vault.Watch(b.h.Key(), w)
		time.Sleep(10 * time.Minute)
		if n := store.read() - before; n > 3 { // when it began, and until it was sure
			t.Errorf("read %d times in ten minutes", n)
		}
		b.vault.Unwatch(b.h.Key(), w)
		time.Sleep(staleMost)
		b.vault.watches.mu.Lock()
		defer b.vault.watches.mu.Unlock()
		if b.vault.watches.running {
			t.Error("it watches, and nobody waits for anything")
		}
	})
}
