//go:build unix

package boltstore

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestWhatIsNoFileIsAnError(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{dir, pipe} {
		_, err := Open(path, time.Now)
		wantError(t, err, ErrDamaged)
	}
	plain := written(t, []byte("x"))
	if _, err := Open(filepath.Join(plain, "grants.db"), time.Now); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
}
