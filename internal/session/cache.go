package session

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	cacheShards = 16
	cacheMost   = 16_384 // grants, of all shards
	cacheTick   = 2 * time.Minute

	// staleMost is how long a row serves that others may change meanwhile, from
	// when it was read, or was known to be what had been read: so late an end is
	// seen on another node at most.
	staleMost = time.Second

	// readMost is when a row is read again however surely it has not changed:
	// operators who take rows out of a store by hand wake no node.
	readMost = 30 * time.Second
)

// cache keeps the grants open that are in use, so that a request does not derive
// a key and decipher a record that did not change. It holds tokens in the
// clear: no more than cacheMost grants, each until it has not been used for two to
// four minutes, or it ends.
//
// A grant is served from here only for the secret that opened it, and while its
// row is as it was then: the row that was just read, or the one kept here. Where
// no other process writes to the store, that is the store's. Elsewhere it may be
// older by staleMost: good enough to serve a live token, and never to decide
// what to present or to write.
type cache struct {
	alone  bool // no other process writes: the rows here are the store's
	shards [cacheShards]cacheShard

	// followed is the time in which every change was heard of; nil: never, as far as known.
	followed atomic.Pointer[followedSpan]

	mu     sync.Mutex
	closed bool
	timer  *time.Timer // while anything is kept
}

type cacheShard struct {
	mu  sync.Mutex
	all map[Key]*opened
	// writes counts those begun, those ended, and those of others that were told
	// of. A row that was read is kept as the store's only if there were none
	// meanwhile: it might be older than that.
	writes uint64
	// doubt is writes as it was when one failed, which may still take effect.
	// No row is kept until one that began later was answered. Zero: no doubt.
	doubt uint64
}

// opened is never changed, but for used.
type opened struct {
	row    Row
	grant  Grant
	secret [secretSize]byte // of the handle
	ring   *Keyring
	read   time.Time   // when reading the row began; zero: it may be an older one
	used   atomic.Bool // since the last tick
}

func (w *cache) shard(key Key) *cacheShard { return &w.shards[key[0]%cacheShards] }

// get answers what is kept of a row, and how many writes there were so far.
func (w *cache) get(key Key) (*opened, uint64) {
	s := w.shard(key)
	s.mu.Lock()
	e, writes := s.all[key], s.writes
	s.mu.Unlock()
	if e != nil && !e.used.Load() {
		e.used.Store(true)
	}
	return e, writes
}

// fits reports whether what is kept is what row holds for this handle.
func (e *opened) fits(c *config, h Handle, row *Row) bool {
	return e != nil && e.ring == c.ring && e.row.Generation == row.Generation && bytes.Equal(e.row.Sealed, row.Sealed) &&
		subtle.ConstantTimeCompare(e.secret[:], h.parts().secret[:]) == 1
}

// keep what was read when there were so many writes.
func (w *cache) keep(e *opened, writes uint64) {
	e.used.Store(true)
	s := w.shard(e.row.Key)
	s.mu.Lock()
	if s.writes != writes || s.doubt > 0 {
		if w.alone {
			s.mu.Unlock()
			return
		}
		e.read = time.Time{}
	}
	if s.all == nil {
		s.all = map[Key]*opened{}
	}
	s.all[e.row.Key] = e
	for key := range s.all { // some other one
		if len(s.all) <= cacheMost/cacheShards {
			break
		}
		if key != e.row.Key {
			delete(s.all, key)
		}
	}
	s.mu.Unlock()
	w.tickLater()
}

func (w *cache) drop(key Key) {
	s := w.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, key)
}

// changed forgets a row that another node has changed, and one that is being
// read.
func (w *cache) changed(key Key) {
	s := w.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	delete(s.all, key)
}

// stands reports whether what is kept may do for the store's row at a time.
func (w *cache) stands(e *opened, now time.Time) bool {
	if e == nil || w.alone {
		return e != nil
	}
	if within(staleMost, e.read, now) {
		return true
	}
	t := w.followed.Load()
	return t != nil && !e.read.Before(t.from) && within(staleMost, t.to, now) && within(readMost, e.read, now)
}

// within is false too if the clock was set back.
func within(most time.Duration, at, now time.Time) bool {
	age := now.Sub(at)
	return age >= 0 && age < most
}

// writing begins a write. The function that it answers ends it, with the row
// that stands now if err is nil, or none if it was deleted.
func (w *cache) writing(key Key) (wrote func(next *Row, err error)) {
	s := w.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	began := s.writes
	return func(next *Row, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		alone := s.writes == began // else another one may have come after ours
		s.writes++
		e := s.all[key]
		delete(s.all, key)
		if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			if w.alone { // elsewhere it is found out soon enough
				s.doubt = s.writes
			}
			return
		}
		if began > s.doubt {
			s.doubt = 0
		}
		if err == nil && s.doubt == 0 && alone && e != nil && next != nil && !next.Dead &&
			e.row.Generation == next.Generation && bytes.Equal(e.row.Sealed, next.Sealed) {
			moved := &opened{row: *next, grant: e.grant, secret: e.secret, ring: e.ring, read: e.read}
			moved.used.Store(e.used.Load())
			s.all[key] = moved
		}
	}
}

// tickLater lets what is kept be looked through, until nothing is kept.
func (w *cache) tickLater() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		w.clear()
	case w.timer == nil:
		w.timer = time.AfterFunc(cacheTick, w.tick)
	}
}

// tick drops what was not used since the last one.
func (w *cache) tick() {
	w.mu.Lock()
	w.timer = nil
	w.mu.Unlock()
	left := 0
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		for key, e := range s.all {
			if !e.used.Swap(false) {
				delete(s.all, key)
			}
		}
		left += len(s.all)
		s.mu.Unlock()
	}
	if left > 0 {
		w.tickLater()
	}
}

// close forgets everything, and keeps nothing any more.
func (w *cache) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.clear()
}

func (w *cache) clear() {
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		clear(s.all)
		s.mu.Unlock()
	}
}
