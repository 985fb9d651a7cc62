package session

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Full is a verdict: the holder has as many live grants as one may have. None
// of them is thrown out for another: which one is in use, the gateway cannot tell.
type Full struct {
	Subject bool // it is a user, and else a client
	Limit   int
}

func (f *Full) Error() string {
	return fmt.Sprintf("this %s has %d live grants, as many as grants_per_%[1]s allows", f.whose(), f.Limit)
}

func (f *Full) whose() string {
	if f.Subject {
		return "subject"
	}
	return "client"
}

// liveCount knows how many live grants each holder has, where the store has no
// index of them. Each sweep counts them anew; in between, what begins and ends on this node is added and taken off.
// So what happens on other nodes is known at the next sweep, and for a grant that
// ends while a sweep goes on there may be one more until the next.
type liveCount struct {
	mu     sync.Mutex
	live   map[ID]int
	change map[ID]int // since a sweep began; nil: none is under way

	counted time.Time // when all were seen last
}

func newLiveCount() *liveCount { return &liveCount{live: map[ID]int{}} }

// take counts one more grant of a holder, unless there are as many as there may
// be under the names that it had, one for each key of the ring: the first is
// the one it has now.
func (n *liveCount) take(names []ID, limit int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := 0
	for _, name := range names {
		all += n.live[name]
	}
	if all >= limit {
		return false
	}
	n.add(names[0], 1)
	return true
}

// gone counts one less.
func (n *liveCount) gone(holder ID) {
	if holder == (ID{}) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.add(holder, -1)
}

func (n *liveCount) add(holder ID, by int) {
	addTo(n.live, holder, by)
	if n.change != nil {
		n.change[holder] += by
	}
}

func addTo(all map[ID]int, holder ID, by int) {
	if all[holder] += by; all[holder] <= 0 {
		delete(all, holder)
	}
}

// begin is the begin of a sweep, and finish its end: what it has counted counts,
// with what has changed meanwhile.
func (n *liveCount) begin(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change = map[ID]int{}
	if n.counted.IsZero() {
		n.counted = now
	}
}

// finish reports whether the sweep has seen the whole store. Where none does, what
// has run out is never taken off: after a while, when all that was counted may be
// over, it counts for nothing, or a store that cannot be walked would lock out
// the holders of those in use.
func (n *liveCount) finish(live map[ID]int, whole bool, now time.Time, over time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case whole:
		for holder, by := range n.change {
			addTo(live, holder, by)
		}
		n.live, n.counted = live, now
	case now.Sub(n.counted) > over:
		n.live, n.counted = map[ID]int{}, now
	}
	n.change = nil
}

// What the digest of a holder is made for.
const (
	holderClient  = "holder client"
	holderSubject = "holder subject"
)

// count finds out for whom a grant is counted, and counts it: a user, where one
// stands behind it, whatever client it came by, and else the client. Were users
// counted for the client that they share, one of them could lock the others out.
func (v *Vault) count(ctx context.Context, c *config, b Browser, g *Grant) (ID, error) {
	full, purpose, name := &Full{Limit: c.o.GrantsPerClient}, holderClient, g.Client
	if user := cmp.Or(b.User, g.Subject); user != "" && g.Kind != ByRunningAgain {
		full, purpose, name = &Full{Subject: true, Limit: c.o.GrantsPerSubject}, holderSubject, user
	}
	names := c.ring.Digests(purpose, c.o.Authority(g), name)
	take := func(limit int) bool { return v.liveCount.take(names, limit) }
	f, err := v.indexed(ctx, c)
	if err == nil && f != nil {
		asking, cancel := context.WithTimeout(ctx, c.o.StoreTimeout)
		defer cancel()
		err = v.holders.learn(asking, f, names)
		take = func(limit int) bool { return v.holders.take(names, limit) }
	}
	if err != nil {
		return ID{}, unavailable(0, "counting the grants there are: %w", err)
	}
	if !take(full.Limit) && (!v.replaces(ctx, c, b.Replaces, names) || !take(c.o.GrantsPerSubject+1)) {
		c.observe(Event{Name: EventFull, Issuer: g.Issuer, Detail: full.whose()})
		return ID{}, full
	}
	return names[0], nil
}

// replaces reports whether a grant comes in the place of a live one of the same
// holder, which ends next. There is never more than the one beyond the limit.
func (v *Vault) replaces(ctx context.Context, c *config, key Key, names []ID) bool {
	if key == (Key{}) {
		return false
	}
	row, err := v.load(ctx, c, key)
	return err == nil && !row.Dead && row.Purpose == ForGrant && slices.Contains(names, row.Holder)
}
