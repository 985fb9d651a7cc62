package storetest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

func wakes(t *testing.T, s session.Store) {
	waker, ok := s.(session.Waker)
	if !ok {
		t.Skip("this store wakes nobody: vaults poll")
	}
	r := create(t, s)
	woken := make(chan session.Key, 100)
	stop := waker.Wake(func(key session.Key) {
		select {
		case woken <- key:
		default:
		}
	})
	end := time.After(20 * time.Second)
	heard := func(key session.Key, change func()) {
		t.Helper()
		for { // the first ones may get lost
			change()
			select {
			case got := <-woken:
				if got == key {
					return
				}
			case <-time.After(50 * time.Millisecond):
			case <-end:
				t.Fatal("nobody was woken")
			}
		}
	}
	heard(r.Key, func() {
		next := r
		next.Generation++
		wantError(t, s.CompareAndSwap(t.Context(), r.Version(), next), nil)
		r = next
	})
	heard(r.Key, func() { wantError(t, s.Delete(t.Context(), r.Key), nil) })
	stop()
}

func catchesUp(t *testing.T, s session.Store) {
	store, ok := s.(session.CatchUp)
	if !ok {
		t.Skip("this store cannot tell")
	}
	var told atomic.Int64
	r := create(t, s)
	ours := r.Key
	defer s.(session.Waker).Wake(func(key session.Key) {
		if key == ours {
			told.Add(1)
		}
	})()
	line := caughtUp(t, store) // the subscription may begin just now
	for i := range int64(200) {
		next := r
		next.Generation++
		wantError(t, s.CompareAndSwap(t.Context(), r.Version(), next), nil)
		r = next
		if again := caughtUp(t, store); again != line || told.Load() != i+1 {
			t.Fatalf("told of %d changes out of %d, on line %d, then %d", told.Load(), i+1, line, again)
		}
	}
}

func caughtUp(t *testing.T, s session.CatchUp) uint64 {
	t.Helper()
	end := time.After(20 * time.Second)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // what is published before the subscription is not heard
		line, err := s.CatchUp(ctx)
		cancel()
		if err == nil {
			return line
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-end:
			t.Fatal(err)
		}
	}
}
