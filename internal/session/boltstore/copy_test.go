package boltstore

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// The copy holds each row that was there before it began, while others write.
func TestACopyThatIsMadeDuringWritesOpensAndHasWhatWasThere(t *testing.T) {
	s := open1(t, filepath.Join(t.TempDir(), "grants.db"), time.Now)
	var rows []session.Row
	for range 200 {
		rows = append(rows, created(t, s, time.Now().Add(time.Hour)))
	}
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			row := rows[w]
			for ctx.Err() == nil {
				next := row
				next.Generation++
				if err := s.CompareAndSwap(t.Context(), row.Version(), next); err != nil {
					t.Error(err)
					return
				}
				row = next
				if err := s.Create(t.Context(), newRow(time.Now().Add(time.Hour))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 5 {
		from, err := s.Copy(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Copy(t.Context())
		wantError(t, err, session.ErrCopying)
		bytes, err := io.ReadAll(from)
		wantError(t, err, nil)
		if int64(len(bytes)) != from.Size() {
			t.Errorf("%d bytes, and %d were told", len(bytes), from.Size())
		}
		wantError(t, from.Close(), nil)
		other := open1(t, written(t, bytes), time.Now)
		for i, row := range rows {
			got, err := other.Load(t.Context(), row.Key)
			if err != nil || got.Generation < row.Generation || i >= 4 && got.Generation != row.Generation {
				t.Fatalf("row %d: generation %d, %v", i, got.Generation, err)
			}
		}
		created(t, other, time.Now().Add(time.Hour))
	}
	stop()
	writers.Wait()
	if left, _ := filepath.Glob(s.path + "?*"); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestACopyThatFailsLeavesNothingAndKeepsNoOtherFromBeingMade(t *testing.T) {
	s := open1(t, filepath.Join(t.TempDir(), "grants.db"), time.Now)
	created(t, s, time.Now().Add(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var n int64
	if err := s.copyTo(ctx, io.Discard, &n); err == nil {
		t.Error("a copy that was given up is made")
	}
	// What a killed process has left.
	if err := os.WriteFile(s.path+copyName, []byte("half a copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	from, err := s.Copy(t.Context())
	wantError(t, err, nil)
	if info, err := os.Stat(s.path + copyName); err != nil || info.Mode().Perm() != 0o600 || info.Size() != from.Size() {
		t.Errorf("%v, %v", info, err)
	}
	wantError(t, from.Close(), nil)
	// Nothing can be made there.
	if err := os.MkdirAll(filepath.Join(s.path+copyName, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Copy(t.Context()); err == nil || errors.Is(err, session.ErrCopying) {
			t.Errorf("a copy that cannot be made: %v", err)
		}
	}
	closed(t, s)
	_, err = s.Copy(t.Context())
	wantError(t, err, ErrClosed)
}
