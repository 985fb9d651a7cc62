package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bench is one vault on a memory store and an AS that a test writes.
type bench struct {
	t     *testing.T
	store *Memory
	vault *Vault
	h     Handle

	mu      sync.Mutex
	calls   int
	revoked []string
	events  []Event
}

func testRing(t testing.TB, fill byte, previous ...[]byte) *Keyring {
	t.Helper()
	ring, err := NewKeyring(fillKey(fill), previous...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func fillKey(fill byte) []byte {
	key := make([]byte, 32)
	for i := range key {
		key[i] = fill
	}
	return key
}

func seconds(n int) *time.Duration { d := time.Duration(n) * time.Second; return &d }

// newBench stores a grant at1/rt1 that lives 100 s. answer is called for each
// renewal with its number.
func newBench(t *testing.T, change func(*Options), answer func(ctx context.Context, call int, g Grant) Outcome) *bench {
	b := &bench{t: t, store: NewMemory(time.Now)}
	o := Options{
		Now: time.Now,
		Renew: func(ctx context.Context, g Grant) Outcome {
			b.mu.Lock()
			b.calls++
			call := b.calls
			b.mu.Unlock()
			return answer(ctx, call, g)
		},
		Revoke: func(_ context.Context, g Grant) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.revoked = append(b.revoked, g.AccessToken.Reveal()+"/"+g.Refresh.Reveal())
		},
		Observe: func(e Event) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.events = append(b.events, e)
		},
		jitter: func(time.Duration) time.Duration { return 0 },
	}
	if change != nil {
		change(&o)
	}
	var err error
	if b.vault, err = New(b.store, testRing(t, 1), o); err != nil {
		t.Fatal(err)
	}
	b.h, _, err = b.vault.Create(t.Context(), Grant{Issuer: "iss", Subject: "sub", Client: "client"},
		Granted{AccessToken: NewSecret("at1"), Refresh: NewSecret("rt1"), ExpiresIn: seconds(100)}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.vault.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// next answers a pair numbered after the call.
func next(call int) Granted {
	return Granted{AccessToken: NewSecret(fmt.Sprint("at", call+1)), Refresh: NewSecret(fmt.Sprint("rt", call+1)), ExpiresIn: seconds(100)}
}

func always(_ context.Context, call int, _ Grant) Outcome { return next(call) }

// want asks for a token and compares: an AT's text, or the words of an error.
func (b *bench) want(want string) {
	b.t.Helper()
	access, err := b.vault.Token(context.Background(), b.h)
	got := access.Token.Reveal()
	if errors.Is(err, ErrNoGrant) {
		got = "no grant"
	} else if _, ok := errors.AsType[*Unavailable](err); ok {
		got = "unavailable"
	} else if err != nil {
		got = err.Error()
	}
	if got != want {
		b.t.Errorf("got %s (%v), want %s", got, err, want)
	}
}

func (b *bench) wantCalls(want int) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls != want {
		b.t.Errorf("the AS was asked %d times, want %d", b.calls, want)
	}
}

func TestAFreshTokenIsServedAndTheServerIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, always)
		for range 100 {
			b.want("at1")
		}
		b.wantCalls(0)
	})
}

func TestDueIsServedAtOnceAndRenewedBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome {
			time.Sleep(3 * time.Second)
			return next(call)
		})
		time.Sleep(89 * time.Second) // ahead is 15 to 20 s, the least life 5 s
		start := time.Now()
		for range 100 {
			b.want("at1")
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v", took)
		}
		synctest.Wait()
		time.Sleep(4 * time.Second)
		b.want("at2")
		b.wantCalls(1)
	})
}

func TestFiveHundredWaitersCauseOneRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome {
			time.Sleep(300 * time.Millisecond)
			return next(call)
		})
		time.Sleep(101 * time.Second)
		var all sync.WaitGroup
		first, cancel := context.WithCancel(t.Context())
		all.Go(func() {
			if _, err := b.vault.Token(first, b.h); !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v", err)
			}
		})
		synctest.Wait()
		for range 499 {
			all.Go(func() { b.want("at2") })
		}
		synctest.Wait()
		cancel()
		all.Wait()
		b.wantCalls(1)
	})
}

func TestThePairIsStoredWhenAllHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome {
			time.Sleep(300 * time.Millisecond)
			return next(call)
		})
		time.Sleep(101 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := b.vault.Token(ctx, b.h); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(time.Second)
		b.want("at2")
		b.wantCalls(1)
	})
}

func TestWaitersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.WaitersPerRecord = 3 }, func(_ context.Context, call int, _ Grant) Outcome {
			time.Sleep(time.Second)
			return next(call)
		})
		time.Sleep(101 * time.Second)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { b.want("at2") })
		}
		synctest.Wait()
		b.want("unavailable")
		all.Wait()
	})
}

// Those who wait for one server fill its places and no other server's.
func TestWaitersAreBoundedForEachServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		b := newBench(t, func(o *Options) {
			o.Waiters = 2
			o.Authority = func(g *Grant) string { return g.App.Reveal() }
		}, func(_ context.Context, call int, g Grant) Outcome {
			if g.App.Reveal() == "slow" {
				<-hold
			}
			return next(call)
		})
		slow, _, err := b.vault.Create(t.Context(), Grant{Kind: ByRefreshToken, Issuer: "iss", App: NewSecret("slow")},
			Granted{AccessToken: NewSecret("x"), Refresh: NewSecret("y"), ExpiresIn: seconds(100)}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(101 * time.Second)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() { _, _ = b.vault.Token(t.Context(), slow) })
		}
		synctest.Wait()
		if _, err := b.vault.Token(t.Context(), slow); err == nil || !strings.Contains(err.Error(), "too many requests wait") {
			t.Errorf("one more for the slow one: %v", err)
		}
		if _, err := b.vault.Token(t.Context(), b.h); err != nil {
			t.Errorf("one for the other: %v", err)
		}
		close(hold)
		all.Wait()
		b.vault.mu.Lock()
		defer b.vault.mu.Unlock()
		if len(b.vault.waiters) > 0 {
			t.Errorf("places that nobody has stay taken: %v", b.vault.waiters)
		}
	})
}

// A hanging AS holds no request longer than RefreshWait.
func TestAHangingServerHoldsNoRequestForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.RefreshWait = 2 * time.Second }, func(ctx context.Context, _ int, _ Grant) Outcome {
			<-ctx.Done()
			return Unknown{Err: ctx.Err()}
		})
		time.Sleep(101 * time.Second)
		start := time.Now()
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() { b.want("unavailable") })
		}
		all.Wait()
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// What is left of a token may be too little to reach the upstream, while nothing may be
// presented before its end. Then the end is waited for: it is a verdict, and no outage.
func TestInTheLastMomentOfATokenItsGrantsEndIsToldAndNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.OnUncertain = Reauth }, func(context.Context, int, Grant) Outcome { return Unknown{Err: errTest} })
		time.Sleep(90 * time.Second)
		b.want("at1")
		time.Sleep(10*time.Second - onItsWay/2)
		began := time.Now()
		b.want("no grant")
		if took := time.Since(began); took > onItsWay {
			t.Errorf("it took %s", took)
		}
		b.wantCalls(1)
	})
}
