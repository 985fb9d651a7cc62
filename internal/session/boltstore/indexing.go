package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// Entries come to be in their own order, so that each page of the index is written
// about once, and not for each row: in rounds that go through all rows, for so many
// of the entries that come next.
var (
	roundEntries = 1 << 19 // held in memory, 25 MB, and as many again for a moment
	indexEntries = 1 << 14 // in one commit, which other writes wait for
)

const indexRows = 4096 // read, or counted, at a time

const (
	indexPause = 5 * time.Millisecond // at least, between two commits of indexing
	indexAgain = time.Minute          // after one that failed
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
		err := s.indexSome()
		switch {
		case errors.Is(err, ErrClosed), s.ctx.Err() != nil:
			return
		case err != nil:
			s.pause(indexAgain)
		}
	}
}

func (s *Store) pause(long time.Duration) {
	select {
	case <-s.ctx.Done():
	case <-time.After(long):
	}
}

// indexSome is a round.
func (s *Store) indexSome() error {
	var st state
	if err := s.read(func(rows *bbolt.Bucket) error {
		if rows.Tx().Bucket(indexBucket) != nil {
			st = stateOf(rows.Tx())
		}
		return nil
	}); err != nil {
		return err
	}
	if st.filedAll {
		return s.advance((*table).count)
	}
	some, more, err := s.nextEntries(st.filed)
	if err != nil {
		return err
	}
	if len(some) == 0 { // a commit that makes the buckets, or says that all are there
		return s.advance(func(t *table) (bool, error) { return t.enter(st.filed, nil, true) })
	}
	after := st.filed
	for len(some) > 0 {
		chunk := some[:min(indexEntries, len(some))]
		some = some[len(chunk):]
		last := !more && len(some) == 0
		if err := s.advance(func(t *table) (bool, error) { return t.enter(after, chunk, last) }); err != nil {
			return err
		}
		after = chunk[len(chunk)-1].entry()
	}
	return nil
}

// advance makes one commit of indexing, and leaves others as much time.
func (s *Store) advance(apply func(*table) (bool, error)) error {
	began := s.now()
	err := s.write(s.ctx, apply)
	s.pause(max(indexPause, s.now().Sub(began)))
	return err
}

// slot holds an entry, and 0 behind a shorter one: lists differ in their first
// letter, so the order is the same.
type slot [digestEntry]byte

func (s *slot) entry() []byte {
	if s[0] == listUntil || s[0] == listUsed {
		return s[:instantEntry]
	}
	return s[:]
}

// round gathers the entries that come next after one.
type round struct {
	after []byte
	some  []slot
	more  bool // there are others behind them
}

// see takes what is wanted of a row's entries.
func (r *round) see(row *session.Row) {
	var one slot
	take := func(by []byte) {
		entry := append(append(one[:0], by...), row.Key[:]...)
		switch {
		case bytes.Compare(entry, r.after) <= 0:
		case r.more && bytes.Compare(entry, r.some[roundEntries-1].entry()) > 0: // they were sorted once
		default:
			clear(one[len(entry):])
			r.some = append(r.some, one)
		}
	}
	var by [1 + digestSize]byte
	for _, index := range session.Indexes {
		if id := row.Under(index); id != (session.ID{}) {
			by[0] = letters[index]
			copy(by[1:], id[:])
			take(by[:])
		}
	}
	by[0] = listUntil
	binary.BigEndian.PutUint64(by[1:], instant(row.Until))
	if take(by[:1+instantSize]); live(row) {
		by[0] = listUsed
		binary.BigEndian.PutUint64(by[1:], instant(row.LastUsed))
		take(by[:1+instantSize])
	}
	if len(r.some) >= 2*roundEntries {
		r.trim()
	}
}

// trim keeps so many that come first.
func (r *round) trim() {
	slices.SortFunc(r.some, func(a, b slot) int { return bytes.Compare(a[:], b[:]) })
	if len(r.some) > roundEntries {
		r.some, r.more = r.some[:roundEntries], true
	}
}

// nextEntries reads all rows for the entries that come next after one.
func (s *Store) nextEntries(after []byte) (some []slot, more bool, err error) {
	r := round{after: after}
	var row session.Row
	for from := []byte{}; from != nil; {
		if err := s.ready(s.ctx); err != nil {
			return nil, false, err
		}
		if err := s.read(func(rows *bbolt.Bucket) error {
			cursor := rows.Cursor()
			key, value := cursor.Seek(from)
			for n := 0; key != nil && n < indexRows; n++ {
				if row.UnmarshalHead(value) == nil && bytes.Equal(row.Key[:], key) {
					r.see(&row)
				}
				key, value = cursor.Next()
			}
			from = bytes.Clone(key)
			return nil
		}); err != nil {
			return nil, false, err
		}
	}
	r.trim()
	return r.some, r.more, nil
}

// enter puts entries into the index of rows that still have them. They are those
// that come after one, up to the last of them; or up to the end. If something else
// has happened meanwhile, it does nothing.
func (t *table) enter(after []byte, some []slot, end bool) (changed bool, err error) {
	if t.state.whole || t.state.filedAll || !bytes.Equal(t.state.filed, after) {
		return true, nil
	}
	var row session.Row
	for i := range some {
		entry := some[i].entry()
		key := entry[len(entry)-keySize:]
		if row.UnmarshalHead(t.rows.Get(key)) != nil || !has(&row, entry) {
			continue
		}
		if err := t.do(t.index.Put(entry, nil)); err != nil {
			return false, err
		}
	}
	if len(some) > 0 {
		t.state.filed = bytes.Clone(some[len(some)-1].entry())
	}
	if t.state.filedAll = end; end {
		t.state.filed = nil
	}
	return true, nil
}

// has reports whether an entry may stand for a row. By its last use it may stand
// where it was before.
func has(row *session.Row, entry []byte) bool {
	switch entry[0] {
	case listUsed:
		return live(row)
	case listUntil:
		return binary.BigEndian.Uint64(entry[1:]) == instant(row.Until)
	}
	for by, letter := range letters {
		if letter == entry[0] {
			return row.Under(by) == session.ID(entry[1:1+digestSize])
		}
	}
	return false
}

// count counts some more rows, once all entries are there.
func (t *table) count() (changed bool, err error) {
	if t.state.whole || !t.state.filedAll {
		return false, nil
	}
	cursor := t.rows.Cursor()
	key, value := cursor.Seek(t.state.cursor)
	if bytes.Equal(key, t.state.cursor) {
		key, value = cursor.Next()
	}
	last := t.state.cursor
	for n := 0; key != nil && n < indexRows; n++ {
		var row session.Row
		if row.UnmarshalHead(value) == nil && bytes.Equal(row.Key[:], key) {
			t.state.stand[row.Standing()]++
			t.note(&row)
		}
		last = key
		key, value = cursor.Next()
	}
	t.state.cursor, t.state.whole = bytes.Clone(last), key == nil
	if t.state.whole {
		t.state.cursor = nil
	}
	return true, nil
}
