package as

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// result is what one caller of Keys or Newer got, and how long it took.
type result struct {
	set  *token.KeySet
	err  error
	took time.Duration
}

// together makes n calls at once and gathers the results.
func together(n int, call func() (*token.KeySet, error)) []result {
	results := make([]result, n)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			began := time.Now()
			set, err := call()
			results[i] = result{set, err, time.Since(began)}
		})
	}
	all.Wait()
	return results
}

func TestTheFirstRequestsWaitTogetherForOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(keysURL, slow(500*time.Millisecond, serve(keyA)))
		s := newServer(t, issuer)
		for _, r := range together(mostWaiters, func() (*token.KeySet, error) { return s.Keys(t.Context()) }) {
			if r.err != nil || !has(t, r.set, keyA) || r.took != 500*time.Millisecond {
				t.Fatalf("set %v, error %v after %s; want the keys after 500ms", r.set, r.err, r.took)
			}
		}
		if n := len(issuer.times(keysURL)); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

func TestNothingIsDialledBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s := newServer(t, issuer)
		s.Attach(Env{Storage: &memory{}})
		time.Sleep(time.Minute)
		if asked := issuer.urls(); len(asked) > 0 {
			t.Errorf("asked %v", asked)
		}
	})
}

func TestStartFetchesBeforeAnyRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s := newServer(t, issuer)
		s.Start()
		s.Start()
		synctest.Wait()
		if status := s.Status(); status.Keys != 1 || !status.Fetched.Equal(time.Now()) || status.Err != nil {
			t.Errorf("status %+v", status)
		}
		if n := len(issuer.times(keysURL)); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

func TestWithoutKeysAndWithAFailedFetchRequestsFailAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.down(refuse)
		s := newServer(t, issuer)
		for range 3 {
			began := time.Now()
			_, err := s.Keys(t.Context())
			down, ok := errors.AsType[*Unavailable](err)
			if !ok || down.Issuer != issuerURL || down.Err == nil || time.Since(began) != 0 {
				t.Fatalf("%v after %s; want *Unavailable at once, with its cause", err, time.Since(began))
			}
			time.Sleep(300 * time.Millisecond)
		}
	})
}

func TestWithoutKeysTheFetchIsRetriedEachSecondOneAtATime(t *testing.T) {
	for name, c := range map[string]struct {
		does  answer
		every time.Duration
	}{
		"refuses":            {refuse, retryNone},
		"fails slowly":       {slow(300*time.Millisecond, refuse), retryNone + 300*time.Millisecond},
		"hangs to the limit": {hang, retryNone + placeWithin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuer()
				issuer.down(c.does)
				newServer(t, issuer).Start()
				time.Sleep(time.Minute)
				synctest.Wait()
				at := issuer.times(formRFC)
				if want := int(time.Minute/c.every) + 1; len(at) != want {
					t.Errorf("%d attempts in a minute, want %d", len(at), want)
				}
				for i := 1; i < len(at); i++ {
					if gap := at[i] - at[i-1]; gap != c.every {
						t.Errorf("attempt %d came %s after the one before, want %s", i, gap, c.every)
					}
				}
				if issuer.most != 1 {
					t.Errorf("%d at a time", issuer.most)
				}
			})
		})
	}
}

func TestRequestsDoNotHastenTheRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.down(refuse)
		s := newServer(t, issuer)
		for range 1000 {
			if _, err := s.Keys(t.Context()); !isUnavailable(err) {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := len(issuer.times(formRFC)); n > 11 {
			t.Errorf("%d attempts in ten seconds", n)
		}
	})
}

func TestAfterRecoveryKeysAreThereWithinTwoSecondsWithoutHelp(t *testing.T) {
	for name, does := range map[string]answer{"refused": refuse, "an error page": reply(502, "bad gateway")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuer()
				issuer.down(does)
				s := newServer(t, issuer)
				s.Start()
				time.Sleep(10*time.Minute + 123*time.Millisecond) // however long it was down
				issuer.up(keyA)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if n := s.Status().Keys; n != 1 {
					t.Fatalf("%d keys two seconds after the recovery", n)
				}
				set, err := s.Keys(t.Context())
				if err != nil || !has(t, set, keyA) {
					t.Errorf("set %v, error %v", set, err)
				}
			})
		})
	}
}

func TestWithAHangingIssuerOnlyTheFirstCallersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.down(hang)
		s := newServer(t, issuer)
		began := time.Now()
		if _, err := s.Keys(t.Context()); !isUnavailable(err) || time.Since(began) != placeWithin {
			t.Errorf("the first caller: %v after %s, want *Unavailable after %s", err, time.Since(began), placeWithin)
		}
		for range 100 { // some of them while the next attempt hangs
			began = time.Now()
			if _, err := s.Keys(t.Context()); !isUnavailable(err) || time.Since(began) != 0 {
				t.Fatalf("a later caller: %v after %s, want *Unavailable at once", err, time.Since(began))
			}
			time.Sleep(200 * time.Millisecond)
		}
	})
}

func TestMoreThan256WaitersFailRatherThanWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(keysURL, slow(time.Second, serve(keyA)))
		s := newServer(t, issuer)
		served, refused := 0, 0
		for _, r := range together(1000, func() (*token.KeySet, error) { return s.Keys(t.Context()) }) {
			switch {
			case r.err == nil && r.took == time.Second:
				served++
			case isUnavailable(r.err) && errors.Is(r.err, errBusy) && r.took == 0:
				refused++
			default:
				t.Fatalf("error %v after %s", r.err, r.took)
			}
		}
		if served != mostWaiters || refused != 1000-mostWaiters {
			t.Errorf("%d served and %d refused", served, refused)
		}
		if s.waiters != 0 {
			t.Errorf("%d waiters are left", s.waiters)
		}
	})
}

func TestACancelledCallerStopsWaitingAndTheFetchGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(keysURL, slow(time.Second, serve(keyA)))
		s := newServer(t, issuer)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := s.Keys(ctx)
		if !isUnavailable(err) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 100*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if set, err := s.Keys(t.Context()); err != nil || !has(t, set, keyA) {
			t.Errorf("the next caller: set %v, error %v", set, err)
		}
		if n := len(issuer.times(keysURL)); n != 1 || time.Since(began) != time.Second {
			t.Errorf("%d fetches, done after %s; the first one should have gone on", n, time.Since(began))
		}
	})
}
