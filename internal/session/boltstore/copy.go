package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// copyName stands behind a store's name in that of the copy that is under way.
const copyName = ".copy-under-way"

var _ session.Copier = (*Store)(nil)

// Copy writes the store as it is at one moment to a file beside it, which is gone
// once the copy is closed. While it is read, the store can be written, but it
// cannot be mapped anew: a write that makes it grow beyond what is mapped waits.
// So nothing but the disk is waited for here. One copy at a time.
func (s *Store) Copy(ctx context.Context) (session.Copied, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if !s.copying.CompareAndSwap(false, true) {
		return nil, session.ErrCopying
	}
	done := &copied{store: s}
	if err := done.make(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("copying %s: %w", s.path, err), done.Close())
	}
	return done, nil
}

// copied is a copy that is complete, and reads it.
type copied struct {
	store *Store
	path  string
	file  *os.File
	size  int64
}

func (c *copied) Read(p []byte) (int, error) { return c.file.Read(p) }

func (c *copied) Size() int64 { return c.size }

// Close forgets the copy.
func (c *copied) Close() (err error) {
	if c.file != nil {
		err = errors.Join(c.file.Close(), os.Remove(c.path))
		c.file = nil
	}
	c.store.copying.Store(false)
	return err
}

func (c *copied) make(ctx context.Context) error {
	s := c.store
	name := s.path + copyName
	_ = os.Remove(name)                                                    // of a process that was killed: this one holds the store, and makes one copy at a time
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // beside the operator's own path
	if err != nil {
		return err
	}
	c.path, c.file = name, file
	if err := s.copyTo(ctx, file, &c.size); err != nil {
		return err
	}
	if err := looked(name); err != nil {
		return err
	}
	_, err = file.Seek(0, io.SeekStart)
	return err
}

// copyTo writes the file as one read transaction sees it.
func (s *Store) copyTo(ctx context.Context, file io.Writer, size *int64) error {
	return s.view(func(tx *bbolt.Tx) (err error) {
		// A full disk would fail the writes of grants, and not only the copy.
		if free, err := freeSpace(filepath.Dir(s.path)); err == nil && free < tx.Size()+leastSpace {
			return fmt.Errorf("%d MB are left on its disk, where a copy of %d MB is made first: make room", free>>20, tx.Size()>>20)
		}
		*size, err = tx.WriteTo(until{ctx, file})
		return err
	})
}

// until is a writer that fails once a context has ended.
type until struct {
	ctx context.Context
	io.Writer
}

func (w until) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}
