package boltstore

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/session/storetest"
)

func TestItIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) session.Store {
		return open1(t, filepath.Join(t.TempDir(), "grants.db"), time.Now)
	})
}

func open1(t testing.TB, path string, now func() time.Time) *Store {
	t.Helper()
	s, err := Open(path, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, s) })
	return s
}

func closed(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func newRow(until time.Time) session.Row {
	return session.Row{Key: session.NewHandle().Key(), Generation: 1, Intent: session.Intent{ID: session.NewID()},
		Created: until.Add(-time.Hour), Until: until, Sealed: bytes.Repeat([]byte{7}, 1500)}
}

func created(t testing.TB, s *Store, until time.Time) session.Row {
	t.Helper()
	row := newRow(until)
	if err := s.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	return row
}

func wantError(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhatWasWrittenIsThereAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "data", "grants.db")
	s := open1(t, path, time.Now)
	var rows []session.Row
	for range 30 {
		rows = append(rows, created(t, s, time.Now().Add(time.Hour)))
	}
	next := rows[0]
	next.Generation++
	wantError(t, s.CompareAndSwap(t.Context(), rows[0].Version(), next), nil)
	wantError(t, s.Delete(t.Context(), rows[1].Key), nil)
	closed(t, s)

	s = open1(t, path, time.Now)
	for i, row := range rows {
		got, err := s.Load(t.Context(), row.Key)
		switch {
		case i == 1:
			wantError(t, err, session.ErrNotFound)
		case err != nil || got.Generation != row.Generation && i > 0 || i == 0 && got.Generation != 2:
			t.Fatalf("%d: %+v, %v", i, got, err)
		}
	}
	shown := 0
	wantError(t, s.Each(t.Context(), func(session.Row) bool { shown++; return true }), nil)
	if shown != len(rows)-1 {
		t.Errorf("%d of %d rows are shown", shown, len(rows)-1)
	}
}

func TestOnlyItsOwnerMayReadTheFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := open1(t, filepath.Join(dir, "grants.db"), time.Now)
	for name, want := range map[string]fs.FileMode{dir: 0o700 | fs.ModeDir, s.Path(): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("left beside the file: %v, %v", names, err)
	}
	if !s.Exclusive() {
		t.Error("two processes might share it")
	}
}

func TestARowPastItsEndIsGoneAndMayBeCreatedAnew(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	s := open1(t, filepath.Join(t.TempDir(), "grants.db"), func() time.Time { return time.Unix(0, now.Load()) })
	start, _ := s.Now(t.Context())
	short, long := created(t, s, start.Add(time.Minute)), created(t, s, start.Add(time.Hour))
	anew := created(t, s, start.Add(time.Minute))
	now.Add(int64(time.Minute))
	if _, err := s.Load(t.Context(), short.Key); err != nil {
		t.Fatalf("at its very end: %v", err)
	}
	now.Add(1)
	_, err := s.Load(t.Context(), short.Key)
	wantError(t, err, session.ErrNotFound)
	wantError(t, s.CompareAndSwap(t.Context(), short.Version(), short), session.ErrNotFound)
	anew.Until = long.Until
	wantError(t, s.Create(t.Context(), anew), nil)
	want := map[session.Key]bool{long.Key: true, anew.Key: true}
	wantError(t, s.Each(t.Context(), func(row session.Row) bool {
		if !want[row.Key] {
			t.Error("a row past its end is shown")
		}
		delete(want, row.Key)
		return true
	}), nil)
	if len(want) > 0 {
		t.Errorf("%d rows are not shown", len(want))
	}
	wantError(t, s.read(func(rows *bbolt.Bucket) error {
		if rows.Get(short.Key[:]) != nil || rows.Get(anew.Key[:]) == nil {
			t.Error("the walk did not forget what is past its end, and that alone")
		}
		return nil
	}), nil)
}

func TestWhoIsShownRowsMayUseTheStore(t *testing.T) {
	s := open1(t, filepath.Join(t.TempDir(), "grants.db"), time.Now)
	var all sync.WaitGroup
	for range 2*pageRows + 10 {
		all.Go(func() { created(t, s, time.Now().Add(time.Hour)) })
	}
	all.Wait()
	s.db.NoSync = true // many small commits
	seen := 0
	wantError(t, s.Each(t.Context(), func(row session.Row) bool {
		seen++
		next := row
		next.Generation++
		// Large enough that the file must grow, which a reader would hold up.
		next.Sealed = bytes.Repeat([]byte{1}, 20_000)
		if err := s.CompareAndSwap(t.Context(), row.Version(), next); err != nil {
			t.Error(err)
		}
		if seen%2 == 0 {
			wantError(t, s.Delete(t.Context(), row.Key), nil)
		}
		return !t.Failed()
	}), nil)
	if seen != 2*pageRows+10 {
		t.Errorf("%d rows were shown", seen)
	}
	left := 0
	wantError(t, s.Each(t.Context(), func(session.Row) bool { left++; return true }), nil)
	if left != seen/2 {
		t.Errorf("%d rows are left of %d", left, seen)
	}
}
