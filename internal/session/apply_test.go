package session

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A keyring may be rotated as often as one likes, while each record is either
// renewed or its key stays: no grant is lost.
func TestNoGrantIsLostWhenTheKeyringRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, always)
		var all []Handle
		for fill := byte(2); fill < 7; fill++ {
			all = append(all, b.create("iss", "sub"))
			if err := b.vault.Apply(testRing(t, fill, fillKey(fill-1)), b.vault.cfg.Load().o); err != nil {
				t.Fatal(err)
			}
			time.Sleep(101 * time.Second) // the next use renews each, and seals it with the current key
			for i, h := range all {
				if _, err := b.vault.Token(t.Context(), h); err != nil {
					t.Errorf("grant %d at key %d: %v", i, fill, err)
				}
			}
		}
	})
}

// Who waits for a renewal waits for the old one's end when the options change,
// and nothing is presented twice.
func TestARenewalOutlivesAChangeOfOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome {
			time.Sleep(time.Second)
			return next(call)
		})
		time.Sleep(101 * time.Second)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { b.want("at2") })
		}
		synctest.Wait()
		node := b.vault.cfg.Load().o.Node
		o := b.vault.cfg.Load().o
		o.Node, o.Renew = ID{}, func(context.Context, Grant) Outcome { return Granted{AccessToken: NewSecret("new")} }
		if err := b.vault.Apply(testRing(t, 2, fillKey(1)), o); err != nil {
			t.Fatal(err)
		}
		if b.vault.cfg.Load().o.Node != node {
			t.Error("the process has another name now")
		}
		for range 20 {
			all.Go(func() { b.want("at2") })
		}
		all.Wait()
		b.wantCalls(1)
		b.want("at2")
		time.Sleep(101 * time.Second)
		b.want("new")
		b.wantCalls(1)
	})
}

func TestOptionsThatAreRefusedChangeNothing(t *testing.T) {
	b := newBench(t, nil, always)
	before := b.vault.cfg.Load()
	bad := before.o
	bad.Lease = bad.TokenTimeout
	if b.vault.Apply(testRing(t, 2), bad) == nil || b.vault.Apply(nil, before.o) == nil {
		t.Error("taken")
	}
	if b.vault.cfg.Load() != before {
		t.Error("changed")
	}
	b.want("at1")
}

// A pair that cannot be saved holds the end of the process up, but not for
// ever; and the vault leaves nothing running.
func TestClosingOverAStoreThatStaysDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *bench
		var store *broken
		b, store = newBroken(t, func(_ context.Context, call int, _ Grant) Outcome {
			store.down.Store(true)
			return next(call)
		})
		time.Sleep(101 * time.Second)
		b.want("at2") // from memory
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		err := b.vault.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 unsaved") || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		synctest.Wait()
		b.want("unavailable")
	})
}

// The store comes back while the vault closes: the pair is saved.
func TestClosingWaitsUntilThePairIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *bench
		var store *broken
		b, store = newBroken(t, func(_ context.Context, call int, _ Grant) Outcome {
			store.down.Store(true)
			return next(call)
		})
		time.Sleep(101 * time.Second)
		b.want("at2")
		time.AfterFunc(20*time.Second, func() { store.down.Store(false) })
		if err := b.vault.Close(t.Context()); err != nil {
			t.Error(err)
		}
		b.wantStored("at2")
	})
}

// Close has given up, and then the AS answers: the pair is stored all the same.
func TestAnAnswerAfterCloseIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome {
			time.Sleep(5 * time.Second)
			return next(call)
		})
		time.Sleep(101 * time.Second)
		go func() { b.want("at2") }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.vault.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 flights") {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		b.wantStored("at2")
		time.Sleep(101 * time.Second)
		b.want("unavailable") // nothing is renewed any more
		b.wantCalls(1)
	})
}

// wantStored compares the AT that the store holds.
func (b *bench) wantStored(want string) {
	b.t.Helper()
	row, err := b.store.Load(b.t.Context(), b.h.Key())
	if err != nil {
		b.t.Fatal(err)
	}
	g, err := b.vault.cfg.Load().ring.open(b.h, row.Generation, row.Sealed)
	if err != nil || g.AccessToken.Reveal() != want || row.Intent.Open {
		b.t.Errorf("stored: %s, %v, open intent: %v", g.AccessToken.Reveal(), err, row.Intent.Open)
	}
}
