package session

import (
	"context"
	"sync"
)

// holders knows how many live grants the holders have that begin some. The store's
// index counts them when one begins, and after each sweep anew; in between, what
// begins and ends on this node is added and taken off. So what happens on other
// nodes is known at the next sweep, and where a grant ends while they are counted
// there may be one more until then.
type holders struct {
	mu  sync.Mutex
	all map[ID]*holder
}

type holder struct {
	live   int
	known  bool          // live was counted
	asking chan struct{} // not nil: it is being counted; closed afterwards
	begun  int           // counted, and not in the store yet
}

// learn has the index count what is not known of the names.
func (n *holders) learn(ctx context.Context, f Finder, names []ID) error {
	for _, name := range names {
		if err := n.learnOne(ctx, f, name); err != nil {
			return err
		}
	}
	return nil
}

func (n *holders) learnOne(ctx context.Context, f Finder, name ID) error {
	for {
		n.mu.Lock()
		h := n.of(name)
		if h.known {
			n.mu.Unlock()
			return nil
		}
		if asking := h.asking; asking != nil {
			n.mu.Unlock()
			select {
			case <-asking:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		asking := make(chan struct{})
		h.asking = asking
		n.mu.Unlock()
		live, err := f.Number(ctx, ByHolder, name)
		n.mu.Lock()
		h.asking = nil
		if err == nil {
			h.live, h.known = live, true
		}
		n.mu.Unlock()
		close(asking)
		return err
	}
}

// of is called with the lock held.
func (n *holders) of(name ID) *holder {
	if n.all == nil {
		n.all = map[ID]*holder{}
	}
	h := n.all[name]
	if h == nil {
		h = &holder{}
		n.all[name] = h
	}
	return h
}

// take counts one more grant of a holder, unless there are as many as there may
// be under the names that it had, one for each key of the ring: the first is
// the one it has now.
func (n *holders) take(names []ID, limit int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := 0
	for _, name := range names {
		if h := n.all[name]; h != nil {
			all += h.live
		}
	}
	if all >= limit {
		return false
	}
	h := n.of(names[0])
	h.live++
	h.begun++
	return true
}

// wrote says that a grant which was counted is in the store, or never will be.
func (n *holders) wrote(name ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.all[name]; h != nil && h.begun > 0 {
		h.begun--
	}
}

// gone counts one less.
func (n *holders) gone(name ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.all[name]; h != nil && h.live > 0 {
		h.live--
	}
}

// forget has all be counted anew: but not while one is on its way into the store,
// which the store's count might have, or not have.
func (n *holders) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, h := range n.all {
		if h.begun == 0 && h.asking == nil {
			delete(n.all, name)
		}
	}
}
