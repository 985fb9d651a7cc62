package revoked

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A node looks at once when it is woken, and does not wait for its next look.
func TestANodeThatIsWokenLooksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 2)
		other := NewLedger(time.Now, func() uint64 { return 1 }, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go other.Follow(ctx, w.store)
		synctest.Wait() // it has looked, and found nothing
		began := time.Now()
		w.now = began
		w.add(0, "1", true)
		e := w.entry("1")
		sought := &Token{Issuer: MarkOf(e.Issuer), ID: MarkOf("1")}
		synctest.Wait()
		if other.List.Find(sought) != nil {
			t.Fatal("it looks all the time, and this test proves nothing")
		}
		other.Wake()
		synctest.Wait()
		if took := time.Since(began); other.List.Find(sought) == nil || took != 0 {
			t.Errorf("%v %v", other.List.Find(sought), took)
		}
	})
}

// What is taken back before the store is open counts here, and is said not to be
// stored; it is, once the store is open. Letting in again waits for that.
func TestWhatIsTakenBackBeforeTheStoreIsOpenIsStoredLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		w.now = time.Now()
		l := NewLedger(time.Now, func() uint64 { return 3 }, nil)
		e := w.entry("1")
		err := l.Add(t.Context(), e)
		if _, unstored := errors.AsType[*Unstored](err); !unstored || !errors.Is(err, ErrNotOpen) {
			t.Errorf("%v", err)
		}
		sought := &Token{Issuer: MarkOf(e.Issuer), ID: MarkOf("1")}
		if l.List.Find(sought) == nil || l.Read() {
			t.Error("it does not count here, or the store was read before it is open")
		}
		if was, err := l.Remove(t.Context(), &e); was || !errors.Is(err, ErrNotOpen) {
			t.Errorf("%v %v", was, err)
		}
		opened := l.Followed()
		ctx, cancel := context.WithCancel(t.Context())
		go l.Follow(ctx, w.store)
		<-opened
		synctest.Wait()
		if w.round(0) != nil || !w.found(0, "1") {
			t.Error("another node does not know it")
		}
		if was, err := l.Remove(t.Context(), &e); !was || err != nil {
			t.Errorf("%v %v", was, err)
		}
		cancel()
		synctest.Wait()
		if _, unstored := errors.AsType[*Unstored](l.Add(t.Context(), e)); !unstored {
			t.Error("it is said to be stored, and the store is closed")
		}
	})
}
