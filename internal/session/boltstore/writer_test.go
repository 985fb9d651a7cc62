package boltstore

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

func TestAfterCloseNothingIsAnswered(t *testing.T) {
	s := open1(t, filepath.Join(t.TempDir(), "grants.db"), time.Now)
	row := created(t, s, time.Now().Add(time.Hour))
	closed(t, s)
	closed(t, s)
	_, load := s.Load(t.Context(), row.Key)
	_, now := s.Now(t.Context())
	for name, err := range map[string]error{
		"load": load, "now": now, "create": s.Create(t.Context(), newRow(row.Until)),
		"swap": s.CompareAndSwap(t.Context(), row.Version(), row), "delete": s.Delete(t.Context(), row.Key),
		"each": s.Each(t.Context(), func(session.Row) bool { return true }),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Close comes while others read and write: each gets an answer, and what was
// acknowledged is there.
func TestCloseUnderLoadLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grants.db")
	s := open1(t, path, time.Now)
	var acknowledged sync.Map
	var written atomic.Int32
	enough := make(chan struct{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				row := newRow(time.Now().Add(time.Hour))
				if err := s.Create(t.Context(), row); err != nil {
					wantError(t, err, ErrClosed)
					return
				}
				acknowledged.Store(row.Key, true)
				if _, err := s.Load(t.Context(), row.Key); err != nil {
					wantError(t, err, ErrClosed)
				}
				if written.Add(1) == 50 {
					close(enough)
				}
			}
		})
	}
	<-enough
	closed(t, s)
	all.Wait()
	s = open1(t, path, time.Now)
	acknowledged.Range(func(key, _ any) bool {
		_, err := s.Load(t.Context(), key.(session.Key))
		wantError(t, err, nil)
		return true
	})
}

func TestAWriteThatWaitsForTheLockEndsWithItsContext(t *testing.T) {
	s := open1(t, filepath.Join(t.TempDir(), "grants.db"), time.Now)
	lock := locked(t, s)
	begun, waits := newRow(time.Now().Add(time.Hour)), newRow(time.Now().Add(time.Hour))
	first, cancelFirst := context.WithCancel(t.Context())
	answers := make(chan error, 1)
	go func() { answers <- s.Create(first, begun) }()
	awaitQueue(t, s, true, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	wantError(t, s.Create(ctx, waits), context.DeadlineExceeded)
	cancelFirst()
	wantError(t, <-answers, context.Canceled)
	wantError(t, lock.Rollback(), nil)
	// Another write passes only after the first.
	created(t, s, time.Now().Add(time.Hour))
	_, err := s.Load(t.Context(), begun.Key)
	wantError(t, err, nil)
	_, err = s.Load(t.Context(), waits.Key)
	wantError(t, err, session.ErrNotFound)
}

func TestCloseLetsWaitingWritesTakePlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grants.db")
	s := open1(t, path, time.Now)
	lock := locked(t, s)
	first, second := newRow(time.Now().Add(time.Hour)), newRow(time.Now().Add(time.Hour))
	answers, ended := make(chan error, 2), make(chan error, 1)
	go func() { answers <- s.Create(t.Context(), first) }()
	awaitQueue(t, s, true, 0)
	go func() { answers <- s.Create(t.Context(), second) }()
	awaitQueue(t, s, true, 1)
	go func() { ended <- s.Close() }()
	for refused := false; !refused; {
		s.writer.mu.Lock()
		refused = s.writer.closed
		s.writer.mu.Unlock()
	}
	wantError(t, s.Create(t.Context(), newRow(first.Until)), ErrClosed)
	wantError(t, lock.Rollback(), nil)
	for _, answer := range []<-chan error{answers, answers, ended} {
		wantError(t, <-answer, nil)
	}
	s = open1(t, path, time.Now)
	for _, row := range []session.Row{first, second} {
		_, err := s.Load(t.Context(), row.Key)
		wantError(t, err, nil)
	}
}

// locked holds the write lock, as a slow disk would. No write has begun.
func locked(t *testing.T, s *Store) *bbolt.Tx {
	t.Helper()
	awaitQueue(t, s, false, 0)
	lock, err := s.db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Rollback() }) // or Close would wait for it
	return lock
}

func awaitQueue(t *testing.T, s *Store, running bool, length int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		s.writer.mu.Lock()
		there := s.writer.running == running && len(s.writer.queue) == length
		s.writer.mu.Unlock()
		if there {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it never came to that")
		}
	}
}

// Who lost against a change that never reached the disk must not be told so.
func TestAVerdictOnAChangeThatFailedIsNoVerdict(t *testing.T) {
	s := open1(t, filepath.Join(t.TempDir(), "grants.db"), time.Now)
	row := created(t, s, time.Now().Add(time.Hour))
	lock := locked(t, s)
	swap := func(answers chan<- error) {
		next := row
		next.Intent.ID = session.NewID()
		answers <- s.CompareAndSwap(t.Context(), row.Version(), next)
	}
	busy, answers := make(chan error, 1), make(chan error, 3)
	go func() { busy <- s.Delete(t.Context(), newRow(row.Until).Key) }()
	awaitQueue(t, s, true, 0)
	for range 2 {
		go swap(answers)
	}
	go func() {
		answers <- s.write(t.Context(), func(*table) (bool, error) { panic("a page that bbolt does not like") })
	}()
	awaitQueue(t, s, true, 3)
	wantError(t, lock.Rollback(), nil)
	wantError(t, <-busy, nil)
	for range 3 {
		if err := <-answers; !errors.Is(err, ErrDamaged) || errors.Is(err, session.ErrConflict) {
			t.Errorf("got %v", err)
		}
	}
	got, err := s.Load(t.Context(), row.Key)
	if err != nil || got.Version() != row.Version() {
		t.Errorf("reading does not go on: %+v, %v", got, err)
	}
	wantError(t, s.Create(t.Context(), newRow(row.Until)), ErrDamaged)
}
