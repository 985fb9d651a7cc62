package e2e

import (
	"sync"
	"time"
)

// late is how much later than asked for this machine woke a process up of late:
// next to nothing where it is idle, and a part of a second where others work. What
// a test allows between two processes grows with it.
func late() time.Duration {
	lag.Lock()
	defer lag.Unlock()
	return max(lag.now, lag.before)
}

var lag struct {
	sync.Mutex
	now, before time.Duration // the most of this second or two, and of those before
}

// watchLag runs as long as the tests do.
func watchLag() {
	const tick = 20 * time.Millisecond
	for turn := time.Now(); ; {
		began := time.Now()
		time.Sleep(tick)
		over := time.Since(began) - tick
		lag.Lock()
		if time.Since(turn) > 2*time.Second {
			turn, lag.before, lag.now = time.Now(), lag.now, 0
		}
		lag.now = max(lag.now, over)
		lag.Unlock()
	}
}
