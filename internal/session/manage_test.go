package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// broken is a memory store that does not answer while it is down.
type broken struct {
	*Memory
	down atomic.Bool
}

func (s *broken) ok() error {
	if s.down.Load() {
		return errTest
	}
	return nil
}

func (s *broken) Load(ctx context.Context, key Key) (Row, error) {
	row, err := s.Memory.Load(ctx, key)
	return row, errors.Join(s.ok(), err)
}

func (s *broken) CompareAndSwap(ctx context.Context, old Version, next Row) error {
	if err := s.ok(); err != nil {
		return err
	}
	return s.Memory.CompareAndSwap(ctx, old, next)
}

func (s *broken) Each(ctx context.Context, visit func(Row) bool) error {
	if err := s.ok(); err != nil {
		return err
	}
	return s.Memory.Each(ctx, visit)
}

func (s *broken) Delete(ctx context.Context, key Key) error {
	if err := s.ok(); err != nil {
		return err
	}
	return s.Memory.Delete(ctx, key)
}

func (s *broken) Now(ctx context.Context) (time.Time, error) {
	now, err := s.Memory.Now(ctx)
	return now, errors.Join(s.ok(), err)
}

// newBroken is a bench over a store that is up so far.
func newBroken(t *testing.T, answer func(context.Context, int, Grant) Outcome) (*bench, *broken) {
	b := newBench(t, nil, answer)
	store := &broken{Memory: b.store}
	b.vault.store = store
	return b, store
}

func (b *bench) create(issuer, subject string) Handle {
	b.t.Helper()
	h, _, err := b.vault.Create(b.t.Context(), Grant{Issuer: issuer, Subject: subject},
		Granted{AccessToken: NewSecret("at1"), Refresh: NewSecret("rt1"), ExpiresIn: seconds(100)}, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	return h
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if _, ours := errors.AsType[*Unavailable](err); !ours || errors.Is(err, ErrNoGrant) {
		t.Errorf("got %v, want an Unavailable", err)
	}
}

// An operator has no handle: the grant ends, and its tokens stay sealed.
func TestAnOperatorEndsAGrant(t *testing.T) {
	b, store := newBroken(t, always)
	key := b.h.Key()
	store.down.Store(true)
	wantUnavailable(t, b.vault.EndKey(t.Context(), key, EndedLogout))
	store.down.Store(false)
	b.want("at1")
	if err := b.vault.EndKey(t.Context(), key, EndedLogout); err != nil {
		t.Fatal(err)
	}
	b.want("no grant")
	for name, key := range map[string]Key{"an ended grant": key, "an unknown key": {1}} {
		if err := b.vault.EndKey(t.Context(), key, EndedLogout); !errors.Is(err, ErrNoGrant) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(b.revoked) > 0 {
		t.Errorf("given back: %v", b.revoked)
	}
	if len(b.events) != 1 || b.events[0].Name != EventEnd || b.events[0].Detail != EndedLogout {
		t.Errorf("told: %+v", b.events)
	}
}

// The operator's end beats a renewal under way, whose pair is given back.
func TestAnOperatorEndsAGrantThatIsBeingRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome {
			time.Sleep(time.Second)
			return next(call)
		})
		time.Sleep(101 * time.Second)
		go func() { b.want("no grant") }()
		synctest.Wait()
		if err := b.vault.EndKey(t.Context(), b.h.Key(), EndedLogout); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !slices.Equal(b.revoked, []string{"at2/rt2"}) {
			t.Errorf("given back: %v", b.revoked)
		}
	})
}

// All grants of a subject end, those from before a rotation of the keyring too,
// and no other user's.
func TestASubjectIsEnded(t *testing.T) {
	b, store := newBroken(t, always)
	gone := b.create("iss", "sub")
	if err := b.vault.End(t.Context(), gone, EndedLogout); err != nil {
		t.Fatal(err)
	}
	if err := b.vault.Apply(testRing(t, 2, fillKey(1)), b.vault.cfg.Load().o); err != nil {
		t.Fatal(err)
	}
	second := b.create("iss", "sub")
	others := []Handle{b.create("iss", "sub2"), b.create("iss2", "sub"), b.create("is", "ssub")}
	store.down.Store(true)
	n, err := b.vault.EndSubject(t.Context(), "iss", "sub", EndedLogout)
	wantUnavailable(t, err)
	if store.down.Store(false); n != 0 {
		t.Errorf("%d ended while the store was down", n)
	}
	for _, want := range []int{2, 0} {
		if n, err := b.vault.EndSubject(t.Context(), "iss", "sub", EndedLogout); n != want || err != nil {
			t.Errorf("%d ended (%v), want %d", n, err, want)
		}
	}
	b.want("no grant")
	if _, err := b.vault.Token(t.Context(), second); !errors.Is(err, ErrNoGrant) {
		t.Error(err)
	}
	for i, h := range others {
		if _, err := b.vault.Token(t.Context(), h); err != nil {
			t.Errorf("other %d: %v", i, err)
		}
	}
}

// What an operator sees of each state.
func TestGrantsAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, store := newBroken(t, func(ctx context.Context, call int, _ Grant) Outcome {
			switch call {
			case 1:
				return next(1)
			case 2:
				return Unknown{Err: errTest}
			}
			<-ctx.Done()
			return NotSent{ctx.Err()}
		})
		renewed, doubted, renewing, dead := b.h, b.create("iss", "a"), b.create("iss", "b"), b.create("iss", "c")
		if err := b.vault.End(t.Context(), dead, EndedLogout); err != nil {
			t.Fatal(err)
		}
		time.Sleep(90 * time.Second)
		for _, h := range []Handle{renewed, doubted, renewing} { // behind the requests, one after the other
			if _, err := b.vault.Token(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		got := map[Key]string{}
		visit := func(s Summary) bool {
			if s.Sref != b.vault.cfg.Load().ring.Sref(s.Key) || s.Until.Sub(s.Created) != 12*time.Hour {
				t.Errorf("%+v", s)
			}
			got[s.Key] = fmt.Sprint(s.Renewals, "/", s.Renewing, "/", s.Uncertain, "/", s.Dead, "/", s.Reason)
			return true
		}
		if err := b.vault.List(t.Context(), visit); err != nil {
			t.Fatal(err)
		}
		for h, want := range map[Handle]string{renewed: "1/false/false/false/", doubted: "0/false/true/false/",
			renewing: "0/true/false/false/", dead: "0/false/false/true/logout"} {
			if got[h.Key()] != want {
				t.Errorf("got %q, want %q", got[h.Key()], want)
			}
		}
		shown := 0
		if err := b.vault.List(t.Context(), func(Summary) bool { shown++; return shown < 2 }); err != nil || shown != 2 {
			t.Errorf("%d shown after the second was enough: %v", shown, err)
		}
		store.down.Store(true)
		if err := b.vault.List(t.Context(), visit); err == nil {
			t.Error("a store that is down lists nothing, without an error")
		}
		store.down.Store(false)
	})
}
