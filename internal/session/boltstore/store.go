// Package boltstore keeps grants in one bbolt file: for one node, across
// restarts. One process holds the file at a time.
//
// Whatever a damaged file does to bbolt or to the process becomes an error here:
// it is no reason to end the process, and never one to answer that a grant does
// not exist.
package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// Why the store could not be asked, beside what the system says.
var (
	ErrHeld    = errors.New("the file is held by another process")
	ErrDamaged = errors.New("the file is no store of grants, or is damaged")
	ErrClosed  = errors.New("the store is closed")
)

// bucket holds key → row. Its name is the format's version.
var bucket = []byte("caddy-oauth grants 1")

// Store is an open file.
type Store struct {
	now  func() time.Time
	path string
	db   *bbolt.DB
	file *os.File // db's own, to let go of it when db cannot

	closed   atomic.Bool
	closing  sync.Once
	copying  atomic.Bool // until the copy is closed
	writer   writer
	whole    atomic.Bool // all rows are in the indexes
	indexing atomic.Bool
	ctx      context.Context // of the indexing; ended by Close
	stop     context.CancelFunc
	work     sync.WaitGroup

	mu   sync.Mutex
	open map[session.Key]time.Time // leases of intents that this process has opened

	// A write ran into damage: bbolt's memory of what is free may be wrong, and
	// another write might spread the damage. Reading goes on.
	damage atomic.Pointer[fault]
	// Locks of bbolt will never be released: nothing may call it any more.
	stuck atomic.Pointer[fault]
}

var _ session.Store = (*Store)(nil)

// Path is where the file is.
func (s *Store) Path() string { return s.path }

// Exclusive reports whether no other process can use the store meanwhile.
func (s *Store) Exclusive() bool { return true }

// Now is the clock the store was opened with.
func (s *Store) Now(ctx context.Context) (time.Time, error) { return s.now(), s.ready(ctx) }

func (s *Store) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return ErrClosed
	}
	if f := s.stuck.Load(); f != nil {
		return f
	}
	return nil
}

// Load reads a row.
func (s *Store) Load(ctx context.Context, key session.Key) (row session.Row, err error) {
	if err := s.ready(ctx); err != nil {
		return session.Row{}, err
	}
	err = s.read(func(rows *bbolt.Bucket) error { return s.live(rows, key, &row) })
	if err != nil {
		return session.Row{}, err
	}
	return row, nil
}

// live finds a row that is not past its end.
func (s *Store) live(rows *bbolt.Bucket, key session.Key, into *session.Row) error {
	found, value := rows.Cursor().Seek(key[:])
	if !bytes.Equal(found, key[:]) {
		return session.ErrNotFound
	}
	if err := decode(found, value, into); err != nil {
		return err
	}
	if s.now().After(into.Until) {
		return session.ErrNotFound
	}
	return nil
}

// decode reads a value that may be anything. It copies what bbolt lends.
func decode(key, value []byte, into *session.Row) error {
	if err := into.UnmarshalBinary(value); err != nil {
		return fmt.Errorf("%w: reading a record: %w", ErrDamaged, err)
	}
	if !bytes.Equal(into.Key[:], key) {
		return fmt.Errorf("%w: a record stands under another's key", ErrDamaged)
	}
	return nil
}

// Create writes a new row.
func (s *Store) Create(ctx context.Context, row session.Row) error {
	value, err := row.MarshalBinary()
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *table) (bool, error) {
		var there session.Row
		var over *session.Row
		switch err := s.live(t.rows, row.Key, &there); {
		case err == nil:
			return false, session.ErrExists
		case !errors.Is(err, session.ErrNotFound):
			return false, err
		case there.Key == row.Key: // it is past its end
			over = &there
		}
		return true, t.put(over, &row, value)
	})
}

// CompareAndSwap replaces a row.
func (s *Store) CompareAndSwap(ctx context.Context, old session.Version, next session.Row) error {
	value, err := next.MarshalBinary()
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *table) (bool, error) {
		var there session.Row
		if err := s.live(t.rows, next.Key, &there); err != nil {
			return false, err
		}
		if there.Version() != old {
			return false, session.ErrConflict
		}
		return true, t.put(&there, &next, value)
	})
}

// Delete forgets a row, also one that cannot be read.
func (s *Store) Delete(ctx context.Context, key session.Key) error {
	return s.write(ctx, func(t *table) (bool, error) {
		found, value := t.rows.Cursor().Seek(key[:])
		if !bytes.Equal(found, key[:]) {
			return false, nil
		}
		var row session.Row
		if decode(found, value, &row) == nil {
			return true, t.remove(&row)
		}
		// What stands in the indexes for it is not known, nor what it was counted as.
		if err := t.do(t.rows.Delete(key[:])); err != nil {
			return false, err
		}
		return true, t.do(t.empty(t.rows.Tx()))
	})
}

// read calls fn in a read transaction, which holds up the file's growth: fn
// makes no other call.
func (s *Store) read(fn func(*bbolt.Bucket) error) error {
	return s.view(func(tx *bbolt.Tx) error {
		rows := tx.Bucket(bucket)
		if rows == nil {
			return fmt.Errorf("%w: its records are gone", ErrDamaged)
		}
		return fn(rows)
	})
}

func (s *Store) view(fn func(*bbolt.Tx) error) error {
	entered := false
	err := guarded(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			entered = true
			return fn(tx)
		})
	})
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault](err); ok && !entered {
		s.jam(f)
	}
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// jam is called when bbolt panicked and kept its locks.
func (s *Store) jam(f *fault) {
	s.stuck.CompareAndSwap(nil, f)
	s.writer.wakeClose()
}

// Close lets writes that wait take place, and then lets go of the file.
func (s *Store) Close() (err error) {
	s.closing.Do(func() {
		s.writer.close(func() bool { return s.stuck.Load() != nil })
		s.closed.Store(true)
		s.stop()
		s.work.Wait()
		if f := s.stuck.Load(); f != nil {
			err = errors.Join(f, s.file.Close())
			return
		}
		err = guarded(s.db.Close)
	})
	return err
}
