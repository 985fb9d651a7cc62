package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Watcher is told when the grant has ended that it watches.
type Watcher interface {
	// GrantEnded is called once, and must not block. why is one of the Ended
	// constants, or empty where the row is gone and says nothing any more.
	GrantEnded(why string)
}

// EndedClosed is told to those who watch a vault that closes. Their grants may
// live on, but nothing here can tell.
const EndedClosed = "closed"

const (
	watchTick = staleMost / 4 // how often it is made sure that all was told, and what failed is read again
	watchPoll = staleMost / 2 // how often each row is read where that is not sure
	watchMost = 16            // rows that are read at once
)

// watches are the grants whose ends somebody waits for. Where no other process
// writes to the store, the vault's own writes tell. Elsewhere the store tells, and
// for as long as it is not sure that it has told everything each row is read:
// an end on any node is told within a second of the store's answer.
type watches struct {
	n    atomic.Int32 // of all: what no one watches costs no lock
	wake chan struct{}

	mu      sync.Mutex
	all     map[Key][]Watcher
	read    map[Key]struct{} // may have changed, and are to be read
	running bool
	closed  bool
}

func newWatches() *watches {
	return &watches{wake: make(chan struct{}, 1), all: map[Key][]Watcher{}, read: map[Key]struct{}{}}
}

// Watch has w told of the grant's end, on whichever node, until [Vault.Unwatch]. One
// that has ended before is told of, too.
func (v *Vault) Watch(key Key, w Watcher) {
	s := v.watches
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		w.GrantEnded(EndedClosed)
		return
	}
	s.all[key] = append(s.all[key], w)
	s.n.Store(int32(len(s.all))) //nolint:gosec // no more than open connections
	s.read[key] = struct{}{}
	s.nudge()
	if !s.running {
		s.running = true
		go v.watch()
	}
}

// Unwatch undoes Watch.
func (v *Vault) Unwatch(key Key, w Watcher) {
	s := v.watches
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.all[key]
	for i := range left {
		if left[i] == w {
			left[i] = left[len(left)-1]
			left[len(left)-1] = nil
			left = left[:len(left)-1]
			break
		}
	}
	if s.all[key] = left; len(left) == 0 {
		delete(s.all, key)
		delete(s.read, key)
	}
	s.n.Store(int32(len(s.all))) //nolint:gosec // no more than open connections
}

func (s *watches) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// changed has a row read that may have changed.
func (s *watches) changed(key Key) {
	if s.n.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, watched := s.all[key]; watched {
		s.read[key] = struct{}{}
		s.nudge()
	}
}

// ended tells those who watch a grant.
func (s *watches) ended(key Key, why string) {
	if s.n.Load() == 0 {
		return
	}
	s.mu.Lock()
	told := s.all[key]
	delete(s.all, key)
	delete(s.read, key)
	s.n.Store(int32(len(s.all))) //nolint:gosec // no more than open connections
	s.mu.Unlock()
	for _, w := range told {
		w.GrantEnded(why)
	}
}

// close tells all that nothing more will be told.
func (s *watches) close() {
	s.mu.Lock()
	s.closed = true
	keys := make([]Key, 0, len(s.all))
	for key := range s.all {
		keys = append(keys, key)
	}
	s.mu.Unlock()
	for _, key := range keys {
		s.ended(key, EndedClosed)
	}
}

// take is what is to be read now, or everything; ok is false where nothing is
// watched any more.
func (s *watches) take(everything bool) (keys []Key, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		s.running = false
		return nil, false
	}
	if everything {
		for key := range s.all {
			keys = append(keys, key)
		}
	} else {
		for key := range s.read {
			keys = append(keys, key)
		}
	}
	clear(s.read)
	return keys, true
}

// watch runs for as long as something is watched.
func (v *Vault) watch() {
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	var polled time.Time // when each row was read last
	for {
		select {
		case <-v.base.Done():
			return
		case <-tick.C:
		case <-v.watches.wake:
		}
		c := v.cfg.Load()
		now := c.o.Now()
		everything := v.mayHaveMissed(polled, now)
		if everything {
			polled = now
		}
		keys, ok := v.watches.take(everything)
		if !ok {
			return
		}
		v.readWatched(c, keys)
	}
}

// mayHaveMissed reports whether a change since everything was read may not have
// been told, and it is time to read everything again.
func (v *Vault) mayHaveMissed(polled, now time.Time) bool {
	if v.cache.alone {
		return false
	}
	if t := v.cache.followed.Load(); t != nil && within(staleMost, t.to, now) {
		return polled.Before(t.from)
	}
	return !within(watchPoll, polled, now)
}

// readWatched reads rows and tells what has ended. One that cannot be read is read
// again: not to know is no end.
func (v *Vault) readWatched(c *config, keys []Key) {
	var work sync.WaitGroup
	var next atomic.Int64
	for range min(watchMost, len(keys)) {
		work.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(keys)); i = next.Add(1) - 1 {
				v.readOneWatched(v.base, c, keys[i])
			}
		})
	}
	work.Wait()
}

func (v *Vault) readOneWatched(ctx context.Context, c *config, key Key) {
	switch row, err := v.load(ctx, c, key); {
	case errors.Is(err, ErrNotFound), err == nil && row.Purpose != ForGrant:
		v.watches.ended(key, "")
	case err != nil:
		v.watches.mu.Lock()
		defer v.watches.mu.Unlock()
		if _, watched := v.watches.all[key]; watched {
			v.watches.read[key] = struct{}{} // with the next tick
		}
	case row.Dead:
		v.watches.ended(key, row.Reason)
	}
}

// wrote tells of what a write of this node's own has come to. What is not known is
// looked for.
func (v *Vault) wrote(next *Row, err error) {
	switch {
	case err != nil:
		v.watches.changed(next.Key)
	case next.Dead:
		v.watches.ended(next.Key, next.Reason)
	}
}
