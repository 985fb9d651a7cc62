package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

var _ session.Finder = (*Store)(nil)

// Indexed reports whether all rows are in the indexes.
func (s *Store) Indexed(ctx context.Context) (bool, error) { return s.whole.Load(), s.ready(ctx) }

// Find shows the rows under a digest, page by page, so that visit may use the
// store.
func (s *Store) Find(ctx context.Context, by session.Index, id session.ID, visit func(session.Row) bool) error {
	var left session.Unread
	prefix := under(by, id)
	for from := prefix; from != nil; {
		var p page
		if err := s.pageOf(ctx, from, prefix, func(rows *bbolt.Bucket, key []byte) { s.found(rows, key, by, id, &p) }, &p); err != nil {
			return err
		}
		for _, row := range p.rows {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !visit(row) {
				return nil
			}
		}
		if left.N += p.unreadable; left.First == nil {
			left.First = p.why
		}
		from = p.next
	}
	if left.N > 0 {
		return &left
	}
	return nil
}

// found takes a row into a page, if it is what was looked for.
func (s *Store) found(rows *bbolt.Bucket, key []byte, by session.Index, id session.ID, p *page) {
	value := rows.Get(key)
	if value == nil {
		return
	}
	var row session.Row
	switch err := decode(key, value, &row); {
	case err != nil:
		if p.unreadable++; p.why == nil {
			p.why = err
		}
	case row.Under(by) == id && !s.now().After(row.Until):
		p.rows = append(p.rows, row)
	}
}

// pageOf walks the entries with a prefix from one of them on, and gives each one's
// key to take, in one transaction. It ends where a page has enough, and tells it
// where the next begins.
func (s *Store) pageOf(ctx context.Context, from, prefix []byte, take func(rows *bbolt.Bucket, key []byte), p *page) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.read(func(rows *bbolt.Bucket) error {
		index := rows.Tx().Bucket(indexBucket)
		if index == nil {
			return nil
		}
		cursor := index.Cursor()
		n := 0
		for entry, _ := cursor.Seek(from); bytes.HasPrefix(entry, prefix); entry, _ = cursor.Next() {
			if n++; n > pageRows {
				p.next = bytes.Clone(entry)
				return nil
			}
			if len(entry) > keySize {
				take(rows, entry[len(entry)-keySize:])
			}
		}
		return nil
	})
}

// Number counts the entries under a digest.
func (s *Store) Number(ctx context.Context, by session.Index, id session.ID) (n int, err error) {
	prefix := under(by, id)
	for from := prefix; from != nil && err == nil; {
		var p page
		err = s.pageOf(ctx, from, prefix, func(*bbolt.Bucket, []byte) { n++ }, &p)
		from = p.next
	}
	return n, err
}

// Keys shows the keys of all rows. Their entries stand much closer than the rows.
func (s *Store) Keys(ctx context.Context, visit func(session.Key) bool) error {
	prefix := []byte{listUntil}
	for from := prefix; from != nil; {
		var p page
		var keys []session.Key
		err := s.pageOf(ctx, from, prefix, func(_ *bbolt.Bucket, key []byte) { keys = append(keys, session.Key(key)) }, &p)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if !visit(key) {
				return nil
			}
		}
		from = p.next
	}
	return nil
}

// Counts are the grants. After a restart those whose intent the process before
// left open count as uncertain at once.
func (s *Store) Counts(ctx context.Context, now time.Time) (n session.Counts, err error) {
	if err := s.ready(ctx); err != nil {
		return n, err
	}
	var st state
	if err := s.read(func(rows *bbolt.Bucket) error { st = stateOf(rows.Tx()); return nil }); err != nil {
		return n, err
	}
	n.Live, n.Dead = st.stand[session.Settled], st.stand[session.Ended]
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, until := range s.open {
		if now.After(until) {
			delete(s.open, key)
			continue
		}
		n.Renewing++
	}
	n.Uncertain = max(0, st.stand[session.Unsettled]-n.Renewing)
	return n, nil
}

// opened notes which intents a commit has opened and closed.
func (s *Store) opened(all []lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range all {
		if one.until.IsZero() {
			delete(s.open, one.key)
		} else {
			s.open[one.key] = one.until
		}
	}
}

// notYet is for how long a row that is due and not over is left alone.
const notYet = 5 * time.Minute

// filed is an entry of a list by time, and where it is to stand from now on.
type filed struct{ from, to []byte }

// Due answers what is over. Entries that say too little are put where they belong.
func (s *Store) Due(ctx context.Context, used, now time.Time, over func(*session.Row) bool, most int) (keys []session.Key, more bool, err error) {
	for _, list := range []struct {
		letter byte
		before time.Time
	}{{listUntil, now}, {listUsed, used}} {
		from, end := []byte{list.letter}, timed(list.letter, instant(list.before), nil)
		for from != nil {
			var moves []filed
			if from, moves, err = s.duePage(ctx, from, end, over, &keys, most); err != nil {
				return keys, more, err
			}
			if err := s.refile(ctx, moves); err != nil {
				return keys, more, err
			}
			if len(keys) >= most && from != nil {
				more, from = true, nil
			}
		}
	}
	slices.SortFunc(keys, func(a, b session.Key) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(keys), more, nil
}

// duePage reads some entries up to an end, and answers where to go on, or nil.
func (s *Store) duePage(ctx context.Context, from, end []byte, over func(*session.Row) bool, keys *[]session.Key, most int) (next []byte, moves []filed, err error) {
	if err := s.ready(ctx); err != nil {
		return nil, nil, err
	}
	err = s.read(func(rows *bbolt.Bucket) error {
		index := rows.Tx().Bucket(indexBucket)
		if index == nil {
			return nil
		}
		cursor := index.Cursor()
		n := 0
		for entry, _ := cursor.Seek(from); entry != nil && bytes.Compare(entry, end) < 0; entry, _ = cursor.Next() {
			if n++; n > indexRows || len(*keys) >= most {
				next = bytes.Clone(entry)
				return nil
			}
			if len(entry) != instantEntry {
				continue
			}
			key := entry[len(entry)-keySize:]
			to, due := refiled(rows.Get(key), entry, end, over)
			switch {
			case due:
				*keys = append(*keys, session.Key(key))
			case to == nil || !bytes.Equal(to, entry):
				moves = append(moves, filed{bytes.Clone(entry), to})
			}
		}
		return nil
	})
	return next, moves, err
}

// refiled says where an entry whose time has come belongs, or that the row is
// over. nil: nowhere any more.
func refiled(value, entry, end []byte, over func(*session.Row) bool) (to []byte, due bool) {
	key := entry[len(entry)-keySize:]
	var row session.Row
	if value == nil {
		return nil, false
	}
	if row.UnmarshalHead(value) != nil || !bytes.Equal(row.Key[:], key) {
		return later(entry, end), false // it cannot be read
	}
	at := instant(row.Until)
	if entry[0] == listUsed {
		if !live(&row) {
			return nil, false
		}
		at = max(instant(row.LastUsed), binary.BigEndian.Uint64(entry[1:]))
	}
	right := timed(entry[0], at, key)
	switch {
	case bytes.Compare(right, end) >= 0:
		return right, false
	case over(&row):
		return entry, true
	}
	return later(entry, end), false
}

// later is where an entry is left alone for some minutes.
func later(entry, end []byte) []byte {
	at := binary.BigEndian.Uint64(end[1:]) + uint64(notYet)
	return timed(entry[0], at, entry[len(entry)-keySize:])
}

// refile moves entries, unless they are gone.
func (s *Store) refile(ctx context.Context, moves []filed) error {
	if len(moves) == 0 {
		return nil
	}
	return s.write(ctx, func(t *table) (bool, error) {
		for _, move := range moves {
			found, _ := t.index.Cursor().Seek(move.from)
			if !bytes.Equal(found, move.from) {
				continue
			}
			if err := t.do(t.index.Delete(move.from)); err != nil {
				return false, err
			}
			if move.to == nil || t.rows.Get(move.to[len(move.to)-keySize:]) == nil {
				continue
			}
			if err := t.do(t.index.Put(move.to, nil)); err != nil {
				return false, err
			}
		}
		return true, nil
	})
}
