package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// filled answers a store's file and the rows in it.
func filled(t testing.TB, n int) (file []byte, rows []session.Row) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "grants.db")
	s := open1(t, path, time.Now)
	for range n {
		rows = append(rows, created(t, s, time.Now().Add(time.Hour)))
	}
	closed(t, s)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file, rows
}

func written(t testing.TB, file []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "grants.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFileThatIsNoStoreStaysAsItIs(t *testing.T) {
	file, _ := filled(t, 50)
	other := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(other, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("x")); return err }), nil)
	wantError(t, db.Close(), nil)
	foreign, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	metas := bytes.Clone(file)
	clear(metas[:8192])
	cases := map[string][]byte{
		"empty": {}, "one byte": {1}, "text": bytes.Repeat([]byte("hello\n"), 10_000), "zeros": make([]byte, 1<<16),
		"another program's bbolt file": foreign, "no head": metas, "only ones": bytes.Repeat([]byte{255}, 1<<16),
	}
	for n := 1; n < len(file)/4096; n *= 2 {
		cases[fmt.Sprintf("cut off after %d pages", n)] = file[:n*4096]
		cases[fmt.Sprintf("cut off within page %d", n)] = file[:n*4096+100]
	}
	for name, content := range cases {
		t.Run(name, func(t *testing.T) {
			path := written(t, content)
			s, err := Open(path, time.Now)
			if err == nil {
				closed(t, s)
			}
			wantError(t, err, ErrDamaged)
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, content) {
				t.Errorf("the file has changed: %d bytes, %v", len(after), err)
			}
			// Nothing holds it any more.
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			open1(t, path, time.Now)
		})
	}
}

// Each page in turn is overwritten. Whatever bbolt says of that, the process
// lives, nothing hangs, and no row is wrong.
func TestADamagedPageIsAnErrorAtMost(t *testing.T) {
	file, rows := filled(t, 40)
	failed := 0
	for _, fill := range []byte{0, 255, 'x', 1, 2} {
		for at := 0; at+4096 <= len(file); at += 4096 {
			broken := bytes.Clone(file)
			copy(broken[at:], bytes.Repeat([]byte{fill}, 4096))
			failed += useDamaged(t, written(t, broken), rows, nil)
		}
	}
	if failed == 0 {
		t.Error("no damage was noticed")
	}
}

// As above, while the file is open. (Where the list of free pages itself claims
// in the open file to go on for millions of pages, bbolt frees them one by one:
// slow, and not tried here.)
func TestDamageWhileOpenIsAnErrorAtMost(t *testing.T) {
	file, rows := filled(t, 40)
	failed := 0
	for _, fill := range []byte{0, 255} {
		for at := 0; at+4096 <= len(file); at += 4096 {
			path := written(t, file)
			failed += useDamaged(t, path, rows, func() {
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := f.WriteAt(bytes.Repeat([]byte{fill}, 4096), int64(at)); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	for _, size := range []int64{0, 4096, 8192, int64(len(file) / 2)} {
		path := written(t, file)
		failed += useDamaged(t, path, rows, func() {
			if err := os.Truncate(path, size); err != nil {
				t.Fatal(err)
			}
		})
	}
	if failed == 0 {
		t.Error("no damage was noticed")
	}
}

// useDamaged counts errors. It fails the test on wrong answers.
func useDamaged(t *testing.T, path string, rows []session.Row, damage func()) (failed int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := Open(path, time.Now)
	if err != nil {
		wantError(t, err, ErrDamaged)
		return 1
	}
	s.db.NoSync = true // fast; nothing here outlives the process
	if damage != nil {
		damage()
	}
	for _, row := range rows {
		got, err := s.Load(ctx, row.Key)
		if err == nil && (got.Key != row.Key || got.Until.Unix() != row.Until.Unix()) {
			t.Errorf("a row is wrong: %+v", got)
		}
		if err != nil {
			failed++
		}
	}
	calls := []error{s.Each(ctx, func(session.Row) bool { return true })}
	for _, row := range rows[:min(len(rows), 15)] {
		next := row
		next.Generation++
		calls = append(calls, s.CompareAndSwap(ctx, row.Version(), next), s.Create(ctx, newRow(row.Until)), s.Delete(ctx, row.Key))
	}
	for _, err := range append(calls, s.Close()) {
		if err != nil {
			failed++
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("something hangs: %v", err)
		}
	}
	return failed
}

func TestGarbageInARecordIsAnError(t *testing.T) {
	s := open1(t, filepath.Join(t.TempDir(), "grants.db"), time.Now)
	row, other := created(t, s, time.Now().Add(time.Hour)), created(t, s, time.Now().Add(time.Hour))
	for name, value := range map[string][]byte{"empty": {}, "text": []byte("x"), "another's row": marshalled(t, other)} {
		t.Run(name, func(t *testing.T) {
			put(t, s, row.Key[:], value)
			_, err := s.Load(t.Context(), row.Key)
			wantError(t, err, ErrDamaged)
			wantError(t, s.Create(t.Context(), row), ErrDamaged)
			wantError(t, s.CompareAndSwap(t.Context(), row.Version(), row), ErrDamaged)
			shown := 0
			err = s.Each(t.Context(), func(session.Row) bool { shown++; return true })
			wantError(t, err, ErrDamaged)
			if _, unread := errors.AsType[*session.Unread](err); shown != 1 || !unread {
				t.Errorf("%d readable rows are shown", shown)
			}
			// It harms no neighbour, and deleting it is the way out.
			wantError(t, s.Delete(t.Context(), row.Key), nil)
			wantError(t, s.Create(t.Context(), row), nil)
		})
	}
}

func marshalled(t testing.TB, row session.Row) []byte {
	t.Helper()
	value, err := row.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func put(t testing.TB, s *Store, key, value []byte) {
	t.Helper()
	wantError(t, s.write(t.Context(), func(t *table) (bool, error) { return true, t.rows.Put(key, value) }), nil)
}

func FuzzRecord(f *testing.F) {
	row := newRow(time.Now().Add(time.Hour))
	f.Add(marshalled(f, row))
	f.Add([]byte{})
	f.Add([]byte{1, 2, 3})
	s := open1(f, filepath.Join(f.TempDir(), "grants.db"), time.Now)
	undo := errors.New("keep it off the disk")
	f.Fuzz(func(t *testing.T, value []byte) {
		wantError(t, s.db.Update(func(tx *bbolt.Tx) error {
			rows := tx.Bucket(bucket)
			wantError(t, rows.Put(row.Key[:], value), nil)
			var got session.Row
			err := s.live(rows, row.Key, &got)
			if err == nil && got.Key != row.Key {
				t.Errorf("%x", got.Key)
			}
			var p page
			s.turn(rows, &p)
			if len(p.rows)+len(p.over)+p.unreadable != 1 || errors.Is(err, ErrDamaged) != (p.unreadable == 1) {
				t.Errorf("%v, but walking: %+v", err, p)
			}
			return undo
		}), undo)
	})
}
