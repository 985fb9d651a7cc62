package as

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheEnvironmentAttachedLastCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s := newServer(t, issuer, stored)
		var old, new record
		oldStorage, newStorage := &memory{}, &memory{}
		s.Attach(Env{Storage: oldStorage, Observe: old.observe})
		s.Start()
		synctest.Wait()
		s.Attach(Env{Storage: newStorage, Observe: new.observe})
		issuer.set(keysURL, serve(keyB))
		time.Sleep(Usual)
		synctest.Wait()
		if len(old.of(OpFetch)) != 1 || oldStorage.writes != 1 {
			t.Errorf("the old one: events %+v, %d writes; want those of the first fetch", old.events, oldStorage.writes)
		}
		if len(new.of(OpFetch)) != 1 || newStorage.writes != 1 {
			t.Errorf("the new one: events %+v, %d writes; want those of the second fetch", new.events, newStorage.writes)
		}
	})
}

func TestADetachedEnvironmentIsNeverCalledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s := newServer(t, issuer, stored)
		var first, second, third record
		storage := &memory{}
		detachFirst := s.Attach(Env{Storage: storage, Observe: first.observe})
		detachSecond := s.Attach(Env{Storage: storage, Observe: second.observe})
		detachThird := s.Attach(Env{Storage: storage, Observe: third.observe})
		s.Start()
		synctest.Wait()
		for _, step := range []struct {
			detach func()
			counts *record
		}{
			{detachFirst, &third},  // a reload that succeeded: the old one goes
			{detachThird, &second}, // a reload that failed: the new one goes
			{detachThird, &second}, // again, which changes nothing
			{detachSecond, nil},
		} {
			step.detach()
			before := len(first.events) + len(second.events) + len(third.events)
			writes, at := storage.writes, 0
			if step.counts != nil {
				at = len(step.counts.events)
			}
			issuer.set(keysURL, serve(newKey("n")))
			time.Sleep(Usual - time.Minute/2)
			synctest.Wait()
			got := len(first.events) + len(second.events) + len(third.events) - before
			if step.counts == nil && (got != 0 || storage.writes != writes) {
				t.Errorf("with nobody attached: %d events, %d writes", got, storage.writes-writes)
			}
			if step.counts != nil && (got != 1 || len(step.counts.events)-at != 1 || storage.writes != writes+1) {
				t.Errorf("%d events, %d of them to the one that counts, %d writes", got, len(step.counts.events)-at, storage.writes-writes)
			}
		}
		if s.Status().Err != nil || s.Status().Keys != 1 {
			t.Errorf("status %+v: fetching goes on with nobody attached", s.Status())
		}
	})
}

func TestCloseEndsTheCallersThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.down(hang)
		s := newServer(t, issuer)
		go func() { time.Sleep(time.Second); s.Close() }()
		began := time.Now()
		_, err := s.Keys(t.Context())
		if !isUnavailable(err) || time.Since(began) != time.Second {
			t.Errorf("Keys: %v after %s, want *Unavailable when it closes", err, time.Since(began))
		}
		synctest.Wait()
		if issuer.busy() != 0 {
			t.Error("a request to the issuer is still under way")
		}
		if _, err := s.Keys(t.Context()); !isUnavailable(err) {
			t.Errorf("Keys after Close: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, set := ready(t, issuer)
		issuer.down(hang)
		time.Sleep(kidAfter)
		go func() { time.Sleep(time.Second); s.Close() }()
		began := time.Now()
		if _, err := s.Newer(t.Context(), set); !isUnavailable(err) || time.Since(began) != time.Second {
			t.Errorf("Newer: %v after %s, want *Unavailable when it closes", err, time.Since(began))
		}
		began = time.Now()
		if _, err := s.Newer(t.Context(), set); !isUnavailable(err) || time.Since(began) != 0 {
			t.Errorf("Newer after Close: %v after %s", err, time.Since(began))
		}
	})
}

func TestAfterCloseNothingIsFetchedToldOrStored(t *testing.T) {
	for name, does := range map[string]answer{"idle": serve(keyA), "in a fetch": slow(4*time.Second, serve(keyA)), "failing": refuse} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuer()
				issuer.set(keysURL, does)
				var seen record
				storage := &memory{}
				s := newServer(t, issuer, stored)
				s.Attach(Env{Storage: storage, Observe: seen.observe})
				s.Start()
				time.Sleep(2500 * time.Millisecond)
				s.Close()
				s.Close()
				synctest.Wait()
				asked, events, writes := len(issuer.times("")), len(seen.events), storage.writes
				time.Sleep(24 * time.Hour)
				s.Start()
				time.Sleep(time.Hour)
				if n := len(issuer.times("")); n != asked || len(seen.events) != events || storage.writes != writes {
					t.Errorf("%d requests, events %+v, %d writes after Close", n-asked, seen.events[events:], storage.writes-writes)
				}
			})
		})
	}
}

func TestAServerThatNeverStartedClosesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s := newServer(t, issuer)
		s.Close()
		if _, err := s.Keys(t.Context()); !isUnavailable(err) || !errors.Is(err, errStopped) && !errors.Is(err, context.Canceled) {
			t.Errorf("Keys: %v", err)
		}
	})
}

// synctest lets no goroutine outlive its bubble, so that every test here is one
// of leaks. This one stays outside, with dialled connections.
func TestClosedServersLeaveNoGoroutineBehind(t *testing.T) {
	base := serveTLS(t, nil)
	before := runtime.NumGoroutine()
	for range 20 {
		s := dial(t, base, func(c *Config) { c.Trust = base.trust })
		if _, err := s.Keys(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	deadline := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > before+2 && time.Now().Before(deadline) {
		base.CloseClientConnections()
		time.Sleep(5 * time.Millisecond) // between looks
	}
	if n := runtime.NumGoroutine(); n > before+2 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}
