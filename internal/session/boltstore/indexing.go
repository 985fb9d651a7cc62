package boltstore

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// What one commit of indexing takes in, which other writes wait for.
const (
	indexRows  = 4096
	indexBytes = 16 << 20
)

const (
	indexPause = 20 * time.Millisecond // at least, between two commits of indexing
	indexAgain = time.Minute           // after one that failed
)

// lookAtIndexes finds out what there is of the indexes in a file that was opened.
func (s *Store) lookAtIndexes() {
	_ = s.read(func(rows *bbolt.Bucket) error { // what is wrong with it, the first call tells
		st := stateOf(rows.Tx())
		s.whole.Store(st.whole && st.commit == uint64(rows.Tx().ID()) && rows.Tx().Bucket(indexBucket) != nil)
		return nil
	})
	if !s.whole.Load() {
		s.startIndexing()
	}
}

// startIndexing goes through the rows of a file that builds without indexes have
// written to, in the background, from where it was left.
func (s *Store) startIndexing() {
	if s.indexing.CompareAndSwap(false, true) {
		s.work.Go(func() {
			defer s.indexing.Store(false)
			s.index()
		})
	}
}

func (s *Store) index() {
	for !s.whole.Load() {
		began := s.now()
		err := s.write(s.ctx, (*table).advance)
		pause := max(indexPause, s.now().Sub(began)) // others write too
		switch {
		case errors.Is(err, ErrClosed), s.ctx.Err() != nil:
			return
		case err != nil:
			pause = indexAgain
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// advance indexes and counts some more rows.
func (t *table) advance() (changed bool, err error) {
	if t.state.whole {
		return false, nil
	}
	cursor := t.rows.Cursor()
	key, value := cursor.Seek(t.state.cursor)
	if bytes.Equal(key, t.state.cursor) {
		key, value = cursor.Next()
	}
	var all [][]byte
	last := t.state.cursor
	for n, size := 0, 0; key != nil && n < indexRows && size < indexBytes; n++ {
		var row session.Row
		if row.UnmarshalHead(value) == nil && bytes.Equal(row.Key[:], key) {
			all = append(all, entries(&row)...)
			t.state.stand[row.Standing()]++
			t.note(&row)
		}
		size, last = size+len(value), key
		key, value = cursor.Next()
	}
	t.state.cursor, t.state.whole = bytes.Clone(last), key == nil
	if t.state.whole {
		t.state.cursor = nil
	}
	slices.SortFunc(all, bytes.Compare) // pages are touched once each
	for _, entry := range all {
		if err := t.do(t.index.Put(entry, nil)); err != nil {
			return false, err
		}
	}
	return true, nil
}
