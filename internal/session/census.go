package session

import (
	"cmp"
	"fmt"
	"sync"
)

// Full is a verdict: whoever asks has as many live grants as one may have. None
// of them is thrown out for another: which one is in use, nobody can tell.
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

// census knows how many live grants each holder has. Each sweep counts them
// anew; in between, what begins and ends on this node is added and taken off.
// So what happens on other nodes is known at the next sweep, and a grant that
// begins or ends while a sweep goes on may be counted wrongly until the next.
type census struct {
	mu     sync.Mutex
	live   map[ID]int
	change map[ID]int // since a sweep began; nil: none is under way
}

func newCensus() *census { return &census{live: map[ID]int{}} }

// take counts one more grant of a holder, unless there are as many as there may
// be under the names that it had, one for each key of the ring: the first is
// the one it has now.
func (n *census) take(names []ID, limit int) bool {
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
func (n *census) gone(holder ID) {
	if holder == (ID{}) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.add(holder, -1)
}

func (n *census) add(holder ID, by int) {
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
func (n *census) begin() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change = map[ID]int{}
}

func (n *census) finish(live map[ID]int, whole bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if whole {
		for holder, by := range n.change {
			addTo(live, holder, by)
		}
		n.live = live
	}
	n.change = nil
}

// count finds out for whom a grant is counted, and counts it: a user, where one
// stands behind it, whatever client it came by, and else the client. Were users
// counted for the client that they share, one of them could lock the others out.
func (v *Vault) count(c *config, b Browser, g *Grant) (ID, error) {
	full, purpose, name := &Full{Limit: c.o.GrantsPerClient}, "holder client", g.Client
	if user := cmp.Or(b.User, g.Subject); user != "" && g.Kind != ByRunningAgain {
		full, purpose, name = &Full{Subject: true, Limit: c.o.GrantsPerSubject}, "holder subject", user
	}
	names := c.ring.Digests(purpose, c.o.Authority(g), name)
	if !v.census.take(names, full.Limit) {
		c.observe(Event{Name: EventFull, Issuer: g.Issuer, Detail: full.whose()})
		return ID{}, full
	}
	return names[0], nil
}
