package session

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// counting is a memory store that counts what is read, and lets a write fail
// and take effect later all the same.
type counting struct {
	*Memory
	alone bool

	mu    sync.Mutex
	loads int
	late  time.Duration // if not zero
}

func (c *counting) Exclusive() bool { return c.alone }

func (c *counting) Load(ctx context.Context, key Key) (Row, error) {
	c.mu.Lock()
	c.loads++
	c.mu.Unlock()
	return c.Memory.Load(ctx, key)
}

func (c *counting) CompareAndSwap(ctx context.Context, old Version, next Row) error {
	c.mu.Lock()
	late := c.late
	c.mu.Unlock()
	if late == 0 {
		return c.Memory.CompareAndSwap(ctx, old, next)
	}
	go func() {
		time.Sleep(late)
		_ = c.Memory.CompareAndSwap(context.WithoutCancel(ctx), old, next)
	}()
	return errTest
}

func (c *counting) read() int { c.mu.Lock(); defer c.mu.Unlock(); return c.loads }

// newCache is a bench over a counting store.
func newCache(t *testing.T, alone bool, change func(*Options)) (*bench, *counting) {
	t.Helper()
	b := newBench(t, change, always)
	store := &counting{Memory: b.store, alone: alone}
	var err error
	if b.vault, err = New(store, testRing(t, 1), b.vault.cfg.Load().o); err != nil {
		t.Fatal(err)
	}
	return b, store
}

func (v *Vault) kept() (n int) {
	for i := range v.cache.shards {
		v.cache.shards[i].mu.Lock()
		n += len(v.cache.shards[i].all)
		v.cache.shards[i].mu.Unlock()
	}
	return n
}

func TestAnExclusiveStoreIsReadOnceForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, store := newCache(t, true, nil)
		for range 100 {
			b.want("at1")
		}
		if n := store.read(); n != 1 {
			t.Errorf("read %d times", n)
		}
		time.Sleep(101 * time.Second)
		b.want("at2")
		before := store.read()
		for range 100 {
			b.want("at2")
		}
		if n := store.read() - before; n > 1 {
			t.Errorf("read %d times after a renewal", n)
		}
		b.wantCalls(1)
	})
}

// A mark of use does not cost the opened record.
func TestAMarkOfUseLeavesTheGrantOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, store := newCache(t, true, func(o *Options) { o.Idle = time.Minute })
		for range 8 {
			b.want("at1")
			time.Sleep(10 * time.Second)
		}
		b.want("at1")
		if n := store.read(); n != 1 {
			t.Errorf("read %d times", n)
		}
		row, err := b.store.Load(t.Context(), b.h.Key())
		if err != nil || time.Since(row.LastUsed) > 11*time.Second {
			t.Error(row.LastUsed, err)
		}
	})
}

// Who knows the lookup part alone gets nothing of what the holder has opened.
func TestAnOpenGrantIsServedForItsSecretAlone(t *testing.T) {
	for _, alone := range []bool{false, true} {
		b, _ := newCache(t, alone, nil)
		b.want("at1")
		p := *b.h.parts()
		p.secret[31] ^= 1
		good := b.h
		b.h = handleOf(&p)
		b.want("no grant")
		b.h = good
		b.want("at1")
	}
}

func TestAnOpenGrantIsShutByAKeyringWithoutItsKey(t *testing.T) {
	for _, alone := range []bool{false, true} {
		b, _ := newCache(t, alone, nil)
		b.want("at1")
		o := b.vault.cfg.Load().o
		for _, row := range []struct {
			ring *Keyring
			want string
		}{{testRing(t, 2), "unavailable"}, {testRing(t, 2, fillKey(1)), "at1"}} {
			if err := b.vault.Apply(row.ring, o); err != nil {
				t.Fatal(err)
			}
			b.want(row.want)
		}
	}
}

func TestTheEndShutsAnOpenGrantAtOnce(t *testing.T) {
	for name, end := range map[string]func(*bench) error{
		"by handle": func(b *bench) error { return b.vault.End(b.t.Context(), b.h, EndedLogout) },
		"by key":    func(b *bench) error { return b.vault.EndKey(b.t.Context(), b.h.Key(), EndedLogout) },
		"by subject": func(b *bench) error {
			_, err := b.vault.EndSubject(b.t.Context(), "iss", "sub", EndedLogout)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := newCache(t, true, nil)
			b.want("at1")
			if err := end(b); err != nil {
				t.Fatal(err)
			}
			if n := b.vault.kept(); n != 0 {
				t.Errorf("%d are kept", n)
			}
			b.want("no grant")
		})
	}
}

// A write whose outcome is unknown may take effect after its error: until then
// what is kept is not believed.
func TestAFailedWriteIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, store := newCache(t, true, nil)
		b.want("at1")
		store.mu.Lock()
		store.late = 10 * time.Second
		store.mu.Unlock()
		if err := b.vault.End(t.Context(), b.h, EndedLogout); err == nil || errors.Is(err, ErrNoGrant) {
			t.Fatal(err)
		}
		b.want("at1")
		time.Sleep(11 * time.Second)
		b.want("no grant")
	})
}

func TestTokensLeaveTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newCache(t, true, nil)
		wantKept := func(want int) {
			t.Helper()
			if n := b.vault.kept(); n != want {
				t.Errorf("%d are kept, want %d", n, want)
			}
		}
		wantKept(0) // creating opens nothing
		h, _, err := b.vault.Create(t.Context(), Grant{}, Granted{AccessToken: NewSecret("at"), ExpiresIn: seconds(3600)}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		b.want("at1")
		for range 4 {
			if _, err := b.vault.Token(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		wantKept(1) // the one in use
		time.Sleep(2 * cacheTick)
		synctest.Wait()
		wantKept(0)
		if b.vault.cache.timer != nil {
			t.Error("a timer runs for nothing")
		}
		if _, err := b.vault.Token(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		wantKept(1)
		if err := b.vault.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantKept(0)
		if _, err := b.vault.Token(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		wantKept(0)
	})
}
