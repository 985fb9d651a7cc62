package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// ErrFailed is how a Failing store fails.
var ErrFailed = errors.New("the store failed on purpose")

// Failing is a store of which one call fails: before it took effect, or after.
type Failing struct {
	session.Store
	At    int // which call, from 1; 0 for none
	After bool

	mu    sync.Mutex
	calls int
}

// Calls counts those so far.
func (f *Failing) Calls() int { f.mu.Lock(); defer f.mu.Unlock(); return f.calls }

// Exclusive is what the store inside says, so that a vault which believes its
// own writes is tried too.
func (f *Failing) Exclusive() bool {
	x, ok := f.Store.(session.Exclusive)
	return ok && x.Exclusive()
}

func (f *Failing) step(call func() error) error {
	f.mu.Lock()
	f.calls++
	fails := f.calls == f.At
	f.mu.Unlock()
	if fails && !f.After {
		return ErrFailed
	}
	err := call()
	if fails {
		return ErrFailed
	}
	return err
}

// Load reads a row, or fails.
func (f *Failing) Load(ctx context.Context, key session.Key) (row session.Row, err error) {
	err = f.step(func() (err error) { row, err = f.Store.Load(ctx, key); return err })
	return row, err
}

// CompareAndSwap replaces a row, or fails.
func (f *Failing) CompareAndSwap(ctx context.Context, old session.Version, next session.Row) error {
	return f.step(func() error { return f.Store.CompareAndSwap(ctx, old, next) })
}

// Now answers the store's time, or fails.
func (f *Failing) Now(ctx context.Context) (now time.Time, err error) {
	err = f.step(func() (err error) { now, err = f.Store.Now(ctx); return err })
	return now, err
}

// failing does something once for each call that this takes, and lets that call
// fail.
func failing(t *testing.T, open func(t *testing.T) session.Store, once func(*testing.T, *Failing)) {
	for _, after := range []bool{false, true} {
		for at := 1; ; at++ {
			if at > 100 {
				t.Fatal("it takes more than 100 calls")
			}
			f := &Failing{Store: open(t), At: at, After: after}
			once(t, f)
			if t.Failed() {
				t.Fatalf("call %d failed, after it took effect: %v", at, after)
			}
			if f.Calls() < at {
				break
			}
		}
	}
}

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time      { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) add(d time.Duration) { c.mu.Lock(); c.now = c.now.Add(d); c.mu.Unlock() }

// renewOnce: the grant must survive, and no RT may be presented twice.
func renewOnce(t *testing.T, f *Failing) {
	t.Helper()
	ring, err := session.NewKeyring(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	start, err := f.Store.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	local, life := &clock{now: start}, 100*time.Second
	var mu sync.Mutex
	current := 1
	v, err := session.New(f, ring, session.Options{
		Now: local.Now, BackOffMin: time.Millisecond, BackOffMax: time.Millisecond,
		Renew: func(_ context.Context, g session.Grant) session.Outcome {
			mu.Lock()
			defer mu.Unlock()
			if g.Refresh.Reveal() != fmt.Sprint("rt", current) {
				t.Errorf("%s is presented, %d is current", g.Refresh.Reveal(), current)
			}
			current++
			return session.Granted{AccessToken: session.NewSecret(fmt.Sprint("at", current)),
				Refresh: session.NewSecret(fmt.Sprint("rt", current)), ExpiresIn: &life}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := v.Create(t.Context(), session.Grant{Issuer: "iss"},
		session.Granted{AccessToken: session.NewSecret("at1"), Refresh: session.NewSecret("rt1"), ExpiresIn: &life}, start)
	if err != nil {
		t.Fatal(err)
	}
	local.add(life + time.Second)
	for try := 0; ; try++ {
		access, err := v.Token(t.Context(), h)
		if err == nil && !access.Unsaved {
			break
		}
		if _, ours := errors.AsType[*session.Unavailable](err); err != nil && !ours || try > 2000 {
			t.Fatalf("the grant is lost: %v", err)
		}
		local.add(time.Second / 10) // past the back-off
		time.Sleep(2 * time.Millisecond)
	}
	if err := v.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// rotateOnce: a refresh token must get its successor, and this one its own.
func rotateOnce(t *testing.T, f *Failing) {
	t.Helper()
	ring, err := session.NewKeyring(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	start, err := f.Store.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := session.New(f.Store, ring, session.Options{Now: func() time.Time { return start },
		Renew: func(context.Context, session.Grant) session.Outcome { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := v.Create(t.Context(), session.Grant{}, session.Granted{AccessToken: session.NewSecret("at")}, start)
	if err != nil {
		t.Fatal(err)
	}
	token, err := v.StartFamily(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	// Another node, whose store fails.
	if v, err = session.New(f, ring, session.Options{Now: func() time.Time { return start },
		Renew: func(context.Context, session.Grant) session.Outcome { return nil }}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for try := 0; ; try++ {
			_, _, next, err := v.Rotate(t.Context(), token.Reveal())
			if err == nil {
				token = next
				break
			}
			if _, ours := errors.AsType[*session.Unavailable](err); !ours || try > 1 {
				t.Fatalf("the refresh token is lost: %v", err)
			}
		}
	}
	if err := v.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
