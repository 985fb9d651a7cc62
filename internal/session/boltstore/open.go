package boltstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// lockWait is how long a process that is about to end may still hold the file.
const lockWait = time.Second

// Open opens the file at path, or makes it where there is none. A file that is
// there and is no store of grants stays as it is. Opening reads a few pages,
// however many rows there are.
func Open(path string, now func() time.Time) (*Store, error) {
	if err := ensure(path); err != nil {
		return nil, fmt.Errorf("making the store of grants %s: %w", path, err)
	}
	db, file, err := inspected(path)
	switch {
	case err == nil:
	case errors.Is(err, ErrHeld):
		return nil, fmt.Errorf("opening the store of grants: %s: %w: another Caddy, or this one started twice; stop the other, or give each its own file", path, err)
	case errors.Is(err, ErrDamaged):
		return nil, fmt.Errorf("opening the store of grants: %s: %w; nothing was changed: put back a copy of the file, or move it away to start with an empty store", path, err)
	default:
		return nil, fmt.Errorf("opening the store of grants: %w", err)
	}
	s := &Store{now: now, path: path, db: db, file: file, open: map[session.Key]time.Time{}}
	s.writer.quiet.L = &s.writer.mu
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.lookAtIndexes()
	return s, nil
}

// ensure sees to it that there is a file. It is made under another name first:
// a crash must not leave half a file, which Open would refuse from then on, and
// of two that start at once neither may replace the other's.
func ensure(path string) error {
	_, err := os.Stat(path) //nolint:gosec // the operator's own path
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // the operator's own path
		return err
	}
	draft := path + ".new-" + rand.Text()
	defer func() { _ = os.Remove(draft) }() //nolint:gosec // the operator's own path
	if err := initialize(draft); err != nil {
		return err
	}
	if err := os.Link(draft, path); err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without links. Here a crash may leave half a file.
		if err := initialize(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return syncDirectory(dir)
}

// initialize makes an empty store, and never touches a file that is there.
func initialize(path string) error {
	db, _, err := open(path, os.O_CREATE|os.O_EXCL, bbolt.Options{})
	if err != nil {
		return err
	}
	err = guarded(func() error {
		return db.Update(func(tx *bbolt.Tx) error {
			if _, err := tx.CreateBucket(bucket); err != nil {
				return err
			}
			t, err := new(Store).table(tx)
			if err != nil {
				return err
			}
			return t.close(tx)
		})
	})
	return errors.Join(err, db.Close())
}

// syncDirectory makes the file's name durable.
func syncDirectory(dir string) error {
	if runtime.GOOS == "windows" { // it syncs no directories
		return nil
	}
	d, err := os.Open(dir) //nolint:gosec // the operator's own path
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// inspected looks at the file first, in a mode in which bbolt cannot write, and then
// opens it.
func inspected(path string) (*bbolt.DB, *os.File, error) {
	switch info, err := os.Stat(path); { //nolint:gosec // the operator's own path
	case err != nil:
		return nil, nil, err
	case !info.Mode().IsRegular(): // opening a pipe would wait for its other end
		return nil, nil, fmt.Errorf("%w: not a regular file", ErrDamaged)
	case info.Size() == 0: // bbolt would take it for a new one
		return nil, nil, fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	if err := looked(path); err != nil {
		return nil, nil, err
	}
	return open(path, 0, bbolt.Options{})
}

// looked looks at a file in a mode in which bbolt cannot write.
func looked(path string) error {
	db, file, err := open(path, 0, bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	err = guarded(func() error { return db.View(func(tx *bbolt.Tx) error { return inspect(tx, file) }) })
	if _, jammed := errors.AsType[*fault](err); jammed {
		return errors.Join(err, file.Close()) // bbolt may hold its own locks
	}
	return errors.Join(err, db.Close())
}

func inspect(tx *bbolt.Tx, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("%w: it was cut off, %d bytes of %d are there", ErrDamaged, info.Size(), tx.Size())
	}
	if tx.Bucket(bucket) == nil {
		return fmt.Errorf("%w: it is a bbolt file of something else", ErrDamaged)
	}
	return nil
}

// open opens a file with bbolt; only with create it makes one. The list of
// free pages is kept in the file, or opening would have to walk all pages.
func open(path string, create int, options bbolt.Options) (db *bbolt.DB, file *os.File, err error) {
	options.Timeout, options.NoStatistics, options.FreelistType = lockWait, true, bbolt.FreelistMapType
	options.OpenFile = func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
		file, err = os.OpenFile(name, flag&^os.O_CREATE|create, mode) //nolint:gosec // the operator's own path
		return file, err
	}
	err = guarded(func() (err error) { db, err = bbolt.Open(path, 0o600, &options); return err })
	if err == nil {
		return db, file, nil
	}
	if file != nil {
		_ = file.Close() // after a panic it is still open, and locked
	}
	_, ofTheSystem := errors.AsType[syscall.Errno](err)
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		err = ErrHeld
	case !ofTheSystem && !errors.Is(err, ErrDamaged): // what bbolt does not like about the file
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil, nil, err
}
