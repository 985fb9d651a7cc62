package introspection

import (
	"sync"
	"time"
)

// unread remembers what was wrong with answers that could not be read. The log
// has it once, and not with each request that asks about such a token again.
type unread struct {
	mu    sync.Mutex
	since time.Time
	told  map[string]bool
}

const (
	unreadAgain = time.Minute
	mostUnread  = 16 // different ones in that time
)

// again reports whether the log has had this not long ago.
func (u *unread) again(what string, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if away := now.Sub(u.since); away < 0 || away >= unreadAgain {
		u.since, u.told = now, map[string]bool{}
	}
	if u.told[what] || len(u.told) >= mostUnread {
		return true
	}
	u.told[what] = true
	return false
}
