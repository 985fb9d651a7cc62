package boltstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// mostWrites bounds one commit.
const mostWrites = 256

// write is one change. apply finds its verdict before it touches anything, so
// that an error leaves the transaction as it was and harms no neighbour.
type write struct {
	apply func(*table) (changed bool, err error)
	done  chan struct{}
	err   error // once done is closed
}

// writer collects what comes while a commit is on its way to the disk: all of
// it shares the next commit. A lone write does not wait.
type writer struct {
	mu      sync.Mutex
	quiet   sync.Cond // on mu: running has ended, or never will
	queue   []*write  // not begun
	running bool      // a goroutine drains the queue
	closed  bool
}

// write answers once the change is on the disk. When ctx ends earlier, it
// answers that nothing was written where it knows, and else that it does not.
func (s *Store) write(ctx context.Context, apply func(*table) (bool, error)) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	w := &write{apply: apply, done: make(chan struct{})}
	if !s.enqueue(w) {
		return ErrClosed
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
	}
	if s.writer.withdraw(w) {
		return ctx.Err()
	}
	select {
	case <-w.done:
		return w.err
	default:
		return fmt.Errorf("the write has begun and may take place: %w", ctx.Err())
	}
}

func (s *Store) enqueue(w *write) bool {
	q := &s.writer
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.queue = append(q.queue, w)
	if !q.running {
		q.running = true
		go s.drain()
	}
	return true
}

func (q *writer) withdraw(w *write) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.queue, w)
	if i < 0 {
		return false
	}
	q.queue = slices.Delete(q.queue, i, i+1)
	return true
}

// take answers what the next commit is to hold. Nothing: the goroutine ends.
func (q *writer) take() []*write {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.queue), mostWrites)
	if n == 0 {
		q.queue, q.running = nil, false
		q.quiet.Broadcast()
		return nil
	}
	batch := q.queue[:n:n]
	q.queue = q.queue[n:]
	return batch
}

// close refuses new writes and waits for those that are there, unless stuck.
func (q *writer) close(stuck func() bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for q.running && !stuck() {
		q.quiet.Wait()
	}
}

func (q *writer) wakeClose() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.quiet.Broadcast()
}

func (s *Store) drain() {
	for batch := s.writer.take(); batch != nil; batch = s.writer.take() {
		if err := s.commit(batch); err != nil {
			// Also who got a verdict: it may rest on a neighbour's change.
			for _, w := range batch {
				w.err = err
			}
		}
		for _, w := range batch {
			close(w.done)
		}
	}
}

var errUnchanged = errors.New("nothing to commit")

func (s *Store) commit(batch []*write) error {
	if f := s.damage.Load(); f != nil {
		return f
	}
	var open *bbolt.Tx
	var t *table
	err := guarded(func() error {
		return s.db.Update(func(tx *bbolt.Tx) (err error) {
			open = tx
			if t, err = s.table(tx); err != nil {
				return err
			}
			changed := false
			for _, w := range batch {
				var did bool
				did, w.err = w.apply(t)
				changed = changed || did && w.err == nil
			}
			if !changed {
				return errUnchanged
			}
			return t.close(tx)
		})
	})
	f, panicked := errors.AsType[*fault](err)
	switch {
	case err == nil:
		s.opened(t.opened)
		if s.whole.Store(t.state.whole); !t.state.whole {
			s.startIndexing()
		}
		return nil
	case errors.Is(err, errUnchanged):
		return nil
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return ErrClosed
	case panicked:
		s.damage.Store(f)
		if open == nil || open.DB() != nil { // not even rolled back
			s.jam(f)
		}
	}
	return fmt.Errorf("writing %s: %w", s.path, err)
}
