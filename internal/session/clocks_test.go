package session

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Leases are counted by the store's clock, when they are written and when they
// are read: a node whose own clock is wrong by more than one presents nothing
// beside the node that renews.
func TestALeaseIsOfTheStoresClockWhateverTheNodesHave(t *testing.T) {
	for name, wrong := range map[string]struct{ renews, comes time.Duration }{
		"the node that comes is ahead":    {0, 25 * time.Second},
		"the node that renews is behind":  {-25 * time.Second, 0},
		"one is behind, the other is not": {-15 * time.Second, 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(o *Options) {
					o.Now = func() time.Time { return time.Now().Add(wrong.renews) }
				}, func(_ context.Context, call int, _ Grant) Outcome {
					time.Sleep(3 * time.Second)
					return next(call)
				})
				o := b.vault.cfg.Load().o
				o.Node, o.Now = NewID(), func() time.Time { return time.Now().Add(wrong.comes) }
				first := b.vault
				second, err := New(b.store, testRing(t, 1), o)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(130 * time.Second)
				go func() { _, _ = first.Token(t.Context(), b.h) }()
				time.Sleep(time.Second)
				b.vault = second
				b.want("at2")
				b.wantCalls(1)
				if err := first.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
