package boltstore

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// Beside the rows. An older build leaves these buckets alone, and does not see
// them.
var (
	// indexBucket holds entries without values, which end with a row's key. They
	// begin with a list's letter, and a digest or a time.
	indexBucket = []byte("caddy-oauth index 1")
	// stateBucket holds one value, and is so small that bbolt keeps it in a page
	// that every commit writes anyway.
	stateBucket = []byte("caddy-oauth index state 1")
	stateName   = []byte("state")
)

// Lists of an index.
const (
	listUntil = 'u' // all rows, by their end
	listUsed  = 'l' // live grants, by their last use as it was when they were put there
)

// letters of the indexes by digests.
var letters = map[session.Index]byte{session.BySubject: 's', session.ByUser: 'b', session.BySession: 'i', session.ByHolder: 'h'}

const (
	digestSize   = len(session.ID{})
	keySize      = len(session.Key{})
	instantSize  = 8
	digestEntry  = 1 + digestSize + keySize
	instantEntry = 1 + instantSize + keySize
)

func under(by session.Index, id session.ID) []byte {
	return append(append(make([]byte, 0, digestEntry), letters[by]), id[:]...)
}

// instant spells a time so that earlier ones come first. No time is before 1970.
func instant(t time.Time) uint64 {
	if t.IsZero() || t.Before(time.Unix(0, 0)) {
		return 0
	}
	return uint64(t.UnixNano())
}

func timed(list byte, at uint64, key []byte) []byte {
	entry := append(make([]byte, 0, instantEntry), list)
	return append(binary.BigEndian.AppendUint64(entry, at), key...)
}

func live(row *session.Row) bool { return row.Purpose == session.ForGrant && !row.Dead }

// entries are those of a row.
func entries(row *session.Row) [][]byte {
	all := append(make([][]byte, 0, 6), timed(listUntil, instant(row.Until), row.Key[:]))
	for _, by := range session.Indexes {
		if id := row.Under(by); id != (session.ID{}) {
			all = append(all, append(under(by, id), row.Key[:]...))
		}
	}
	if live(row) {
		all = append(all, timed(listUsed, instant(row.LastUsed), row.Key[:]))
	}
	return all
}

// table is the file in one writing transaction: rows, and what finds them.
type table struct {
	rows, index *bbolt.Bucket
	state       state
	opened      []lease // intents, for when the commit has succeeded
	failed      error   // the transaction must not be committed
}

type lease struct {
	key   session.Key
	until time.Time // zero: its intent is not open
}

// put writes a row in the place of another one; nil: there is none.
func (t *table) put(old, next *session.Row, value []byte) error {
	t.counts(old, -1)
	t.counts(next, +1)
	t.note(next)
	if old == nil {
		for _, entry := range entries(next) {
			t.add(entry)
		}
		return t.do(t.rows.Put(next.Key[:], value))
	}
	for _, by := range session.Indexes {
		from, to := old.Under(by), next.Under(by)
		if from == to {
			continue
		}
		if from != (session.ID{}) {
			t.drop(append(under(by, from), old.Key[:]...))
		}
		if to != (session.ID{}) {
			t.add(append(under(by, to), next.Key[:]...))
		}
	}
	if !old.Until.Equal(next.Until) {
		t.drop(timed(listUntil, instant(old.Until), old.Key[:]))
		t.add(timed(listUntil, instant(next.Until), next.Key[:]))
	}
	if live(next) && !live(old) { // the entry of one that has died goes when its time comes
		t.add(timed(listUsed, instant(next.LastUsed), next.Key[:]))
	}
	return t.do(t.rows.Put(next.Key[:], value))
}

// remove forgets a row, and all entries but one that stands under an earlier last use.
func (t *table) remove(row *session.Row) error {
	t.counts(row, -1)
	t.note(&session.Row{Key: row.Key})
	for _, entry := range entries(row) {
		t.drop(entry)
	}
	return t.do(t.rows.Delete(row.Key[:]))
}

// note tells whether a row's intent is open.
func (t *table) note(row *session.Row) {
	one := lease{key: row.Key}
	if row.Standing() == session.Unsettled && row.Intent.Open {
		one.until = row.Intent.Lease
	}
	t.opened = append(t.opened, one)
}

// counts moves what the row is counted as, unless it is to be counted later on.
func (t *table) counts(row *session.Row, by int) {
	if row != nil && t.state.passed(row.Key[:]) {
		t.state.stand[row.Standing()] += by
	}
}

// add and drop change the index; close tells of what failed.
func (t *table) add(entry []byte)  { _ = t.do(t.index.Put(entry, nil)) }
func (t *table) drop(entry []byte) { _ = t.do(t.index.Delete(entry)) }

// do remembers an error: half a change must not be committed.
func (t *table) do(err error) error {
	if err != nil && t.failed == nil {
		t.failed = err
	}
	return err
}

// open finds the tables of a writing transaction. Where the last commit was not of
// a build that has indexes, they begin anew.
func (s *Store) table(tx *bbolt.Tx) (*table, error) {
	t := &table{rows: tx.Bucket(bucket), index: tx.Bucket(indexBucket)}
	if t.rows == nil {
		return nil, fmt.Errorf("%w: its records are gone", ErrDamaged)
	}
	if t.state = stateOf(tx); t.index != nil && t.state.commit == uint64(tx.ID())-1 {
		return t, nil
	}
	t.state = state{}
	return t, t.empty(tx)
}

// empty begins the indexes anew.
func (t *table) empty(tx *bbolt.Tx) (err error) {
	if t.index != nil {
		if err := tx.DeleteBucket(indexBucket); err != nil {
			return err
		}
	}
	if t.index, err = tx.CreateBucket(indexBucket); err != nil {
		return err
	}
	t.state = state{whole: bucketIsEmpty(t.rows)}
	return nil
}

func bucketIsEmpty(b *bbolt.Bucket) bool {
	first, _ := b.Cursor().First()
	return first == nil
}

// close writes the state, as the last thing before the commit.
func (t *table) close(tx *bbolt.Tx) error {
	if t.failed != nil {
		return t.failed
	}
	b, err := tx.CreateBucketIfNotExists(stateBucket)
	if err != nil {
		return err
	}
	t.state.commit = uint64(tx.ID())
	return b.Put(stateName, t.state.append(nil))
}

// stateOf reads the state; a zero one where there is none, or it cannot be read.
func stateOf(tx *bbolt.Tx) (st state) {
	if b := tx.Bucket(stateBucket); b != nil {
		st.read(b.Get(stateName))
	}
	return st
}
