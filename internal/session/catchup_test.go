package session

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// hearing is a telling store that can tell that it has told everything.
type hearing struct {
	*telling
	line atomic.Uint64
	deaf atomic.Bool
}

func (s *hearing) CatchUp(context.Context) (line uint64, err error) {
	if s.deaf.Load() {
		return 0, errors.New("the line is broken")
	}
	return s.line.Load(), nil
}

// newHearing is a bench whose vault follows its store, for longer than a row
// serves without that.
func newHearing(t *testing.T) (b *bench, store *hearing, other *Vault) {
	t.Helper()
	b, tells, other := newShared(t, nil)
	store = &hearing{telling: tells}
	var err error
	if b.vault, err = New(store, testRing(t, 1), b.vault.cfg.Load().o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.vault.stop)
	b.want("at1")
	time.Sleep(staleMost) // from now on it is known what was told
	b.want("at1")
	time.Sleep(2 * staleMost)
	before := store.read()
	b.want("at1")
	if n := store.read() - before; n != 0 {
		t.Fatalf("read %d times: nothing below shows anything", n)
	}
	return b, store, other
}

func TestARowThatDoesNotChangeIsReadTwiceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, store, _ := newHearing(t)
		before := store.read()
		for range 60 {
			b.want("at1")
			time.Sleep(time.Second)
		}
		if n := store.read() - before; n != 2 {
			t.Errorf("read %d times in a minute", n)
		}
	})
}

func TestAChangeThatIsToldIsSeenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, store, other := newHearing(t)
		if err := other.End(t.Context(), b.h, EndedLogout); err != nil {
			t.Fatal(err)
		}
		b.want("at1")
		store.tell(b.h.Key())
		b.want("no grant")
	})
}

// However a change gets lost, it is seen within a second.
func TestAChangeThatGetsLostIsSeenWithinASecond(t *testing.T) {
	for name, lose := range map[string]func(*hearing){
		"the line is another one": func(s *hearing) { s.line.Add(1) },
		"the line is broken":      func(s *hearing) { s.deaf.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, store, other := newHearing(t)
				if err := other.End(t.Context(), b.h, EndedLogout); err != nil {
					t.Fatal(err)
				}
				lose(store)
				time.Sleep(staleMost)
				b.want("no grant")
			})
		})
	}
}

// What was read before a line began may have changed unheard before that.
func TestANewLineVouchesForNothingThatWasReadBefore(t *testing.T) {
	var w cache
	read := time.Unix(100, 0)
	e, now := &opened{read: read}, read.Add(5*time.Second)
	for _, c := range []struct {
		from, to time.Duration // after reading
		want     bool
	}{
		{-time.Second, 5 * time.Second, true},
		{0, 5 * time.Second, true},
		{1, 5 * time.Second, false},
		{-time.Second, 4*time.Second + 1, true},
		{-time.Second, 4 * time.Second, false},
	} {
		w.followed.Store(&followedSpan{from: read.Add(c.from), to: read.Add(c.to)})
		if got := w.stands(e, now); got != c.want {
			t.Errorf("told from %v to %v, five seconds after reading: %v, want %v", c.from, c.to, got, c.want)
		}
	}
	w.followed.Store(&followedSpan{from: read, to: read.Add(readMost - 1)})
	if w.stands(e, read.Add(readMost)) || !w.stands(e, read.Add(readMost-1)) {
		t.Error("it is not read again when it should be")
	}
	if e.read = (time.Time{}); w.stands(e, now) {
		t.Error("a row that may be an older one stands")
	}
}

// The store is not asked without need.
func TestAVaultThatKeepsNothingDoesNotAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, store, _ := newHearing(t)
		time.Sleep(3 * cacheTick)
		before := b.vault.cache.followed.Load()
		time.Sleep(time.Minute)
		if b.vault.cache.followed.Load() != before {
			t.Error("it asks, and keeps nothing")
		}
		b.want("at2")
		time.Sleep(staleMost)
		b.want("at2")
		time.Sleep(2 * staleMost)
		reads := store.read()
		if b.want("at2"); store.read() != reads {
			t.Error("it does not ask any more")
		}
	})
}

// slowLine is a store that takes its time to say that it has told everything.
type slowLine struct{ *hearing }

func (s slowLine) CatchUp(ctx context.Context) (line uint64, err error) {
	time.Sleep(staleMost / 10)
	return s.hearing.CatchUp(ctx)
}

// Who was asked on a line that broke may answer on the next one: it was there
// when the answer came, and maybe no sooner.
func TestALineVouchesForWhatIsReadAfterItsFirstAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, store, _ := newHearing(t)
		b.vault.stop() // nothing else asks
		synctest.Wait()
		store.line.Add(1)
		began := time.Now()
		b.vault.catchUp(t.Context(), slowLine{store})
		if got := b.vault.cache.followed.Load(); !got.to.Equal(began) || !got.from.Equal(began.Add(staleMost/10)) {
			t.Errorf("told from %v to %v; asked at %v", got.from, got.to, began)
		}
	})
}
