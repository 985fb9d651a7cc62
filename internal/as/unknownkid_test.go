package as

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// kidAfter lets time pass, so that a fetch by an unknown kid stands apart from
// the first one.
const kidAfter = 20 * time.Second

func TestAKnownKidNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, set := ready(t, issuer)
		issuer.down(hang)
		time.Sleep(kidAfter)
		go s.Newer(t.Context(), set)
		synctest.Wait()
		if issuer.busy() != 1 {
			t.Fatal("no fetch hangs")
		}
		began := time.Now()
		if _, err := prove(t, s, keyA); err != nil || time.Since(began) != 0 {
			t.Errorf("a token of a known key: %v after %s", err, time.Since(began))
		}
	})
}

func TestAThousandUnknownKidsCauseOneFetchAndShareIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, set := ready(t, issuer)
		time.Sleep(kidAfter)
		issuer.set(keysURL, slow(200*time.Millisecond, serve(keyA, keyB)))
		issuer.urls()
		waited := 0
		for range 10 { // a hundred at a time, while the fetch runs and after it
			for _, r := range together(100, func() (*token.KeySet, error) { return s.Newer(t.Context(), set) }) {
				if r.err != nil || !has(t, r.set, keyB) {
					t.Fatalf("set %v, error %v; want the new key", r.set, r.err)
				}
				if r.took > 0 {
					waited++
				}
			}
		}
		if n := len(issuer.times("")); n != 1 || waited != 100 {
			t.Errorf("%d fetches and %d that waited, want 1 and 100", n, waited)
		}
	})
}

func TestThoseWhoComeWhileAFetchRunsShareIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, set := ready(t, issuer)
		time.Sleep(kidAfter)
		issuer.set(keysURL, slow(time.Second, serve(keyA)))
		issuer.urls()
		go s.Newer(t.Context(), set)
		time.Sleep(700 * time.Millisecond)
		for _, r := range together(50, func() (*token.KeySet, error) { return s.Newer(t.Context(), set) }) {
			if r.err != nil || r.took != 300*time.Millisecond {
				t.Fatalf("error %v after %s; want the rest of the fetch, 300ms", r.err, r.took)
			}
		}
		if n := len(issuer.times("")); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

func TestAnUnknownKidSharesAScheduledFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, set := ready(t, issuer)
		issuer.set(keysURL, slow(time.Second, serve(keyA, keyB)))
		issuer.urls()
		time.Sleep(time.Duration(0.85*float64(Usual)) + 500*time.Millisecond) // in the middle of the refresh
		began := time.Now()
		newer, err := s.Newer(t.Context(), set)
		if err != nil || !has(t, newer, keyB) || time.Since(began) != 500*time.Millisecond {
			t.Errorf("set %v, error %v after %s", newer, err, time.Since(began))
		}
		if n := len(issuer.times("")); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

func TestUnknownKidsFetchOncePerFloor(t *testing.T) {
	for name, keys := range map[string]answer{
		"with a good answer":  serve(keyA),
		"with a failing one":  reply(500, "oops"),
		"with a slow one":     slow(500*time.Millisecond, serve(keyA)),
		"with a hanging one":  hang,
		"with a changing one": serve(keyA, keyB),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuer()
				s, _ := ready(t, issuer)
				time.Sleep(kidAfter)
				issuer.set(keysURL, keys)
				issuer.urls()
				for range 600 { // a minute of a flood
					set, err := s.Keys(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					go s.Newer(t.Context(), set)
					time.Sleep(100 * time.Millisecond)
				}
				// Its own back-off may add a few where it fails.
				if n := len(issuer.times(keysURL)); n < 10 || n > 12+6 {
					t.Errorf("%d fetches in a minute, want one in %s", n, Floor)
				}
				at := issuer.times(keysURL)
				if gap := at[1] - at[0]; name == "with a good answer" && gap != Floor {
					t.Errorf("%s between two fetches, want %s", gap, Floor)
				}
				if issuer.most != 1 {
					t.Errorf("%d fetches at a time", issuer.most)
				}
			})
		})
	}
}

func TestAnUnknownKidWithinTheFloorIsAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, set := ready(t, issuer)
		time.Sleep(kidAfter)
		if _, err := s.Newer(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		set, _ = s.Keys(t.Context())
		issuer.set(keysURL, slow(time.Second, serve(keyA, keyB)))
		time.Sleep(Floor - time.Millisecond)
		began := time.Now()
		if newer, err := s.Newer(t.Context(), set); newer != set || err != nil || time.Since(began) != 0 {
			t.Errorf("within the floor: set %p (had %p), error %v after %s", newer, set, err, time.Since(began))
		}
		time.Sleep(time.Millisecond)
		if newer, err := s.Newer(t.Context(), set); err != nil || !has(t, newer, keyB) {
			t.Errorf("after the floor: set %v, error %v; want the new key", newer, err)
		}
	})
}

func TestAnUnknownKidWithAnAnswerIsAVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, _ := ready(t, issuer)
		time.Sleep(kidAfter)
		if _, err := prove(t, s, keyB); token.ReasonOf(err) != token.KeyUnknown {
			t.Errorf("a kid that the issuer does not publish: %v", err)
		}
		time.Sleep(kidAfter)
		issuer.set(keysURL, serve(keyA, keyB))
		if _, err := prove(t, s, keyB); err != nil {
			t.Errorf("a kid that the issuer publishes by now: %v", err)
		}
	})
}

func TestAnUnknownKidWithTheLastFetchFailedIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, set := ready(t, issuer)
		time.Sleep(kidAfter)
		issuer.down(refuse)
		if _, err := s.Newer(t.Context(), set); !isUnavailable(err) {
			t.Errorf("with its own fetch failed: %v", err)
		}
		if _, err := s.Newer(t.Context(), set); !isUnavailable(err) {
			t.Errorf("within the floor after it: %v", err)
		}
		if _, err := prove(t, s, keyA); err != nil {
			t.Errorf("a known kid meanwhile: %v", err)
		}
	})
}

// A flood must not turn into 5xx while the issuer is well: who cannot wait is
// judged by the keys in force.
func TestUnknownKidsBeyond256WaitersGetTheSetInForceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, set := ready(t, issuer)
		time.Sleep(kidAfter)
		issuer.down(hang)
		busy := 0
		for _, r := range together(1000, func() (*token.KeySet, error) { return s.Newer(t.Context(), set) }) {
			switch {
			case r.err == nil && r.set == set && r.took == 0:
				busy++
			case !isUnavailable(r.err) || r.took != attempt:
				t.Fatalf("error %v after %s, want the failed fetch's after %s", r.err, r.took, attempt)
			}
		}
		if busy != 1000-mostWaiters {
			t.Errorf("%d did not wait, want %d", busy, 1000-mostWaiters)
		}
	})
}

func TestACancelledUnknownKidLeavesTheFetchToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, set := ready(t, issuer)
		time.Sleep(kidAfter)
		issuer.set(keysURL, slow(time.Second, serve(keyA, keyB)))
		issuer.urls()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(100 * time.Millisecond); cancel() }()
		if _, err := s.Newer(ctx, set); !isUnavailable(err) || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		newer, err := s.Newer(t.Context(), set)
		if err != nil || !has(t, newer, keyB) {
			t.Errorf("the other: set %v, error %v", newer, err)
		}
		if n := len(issuer.times("")); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}
