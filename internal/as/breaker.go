package as

import (
	"sync"
	"time"
)

// How a breaker breaks.
const (
	breakAfter = 5                // failures in a row
	breakLeast = time.Second      // the first pause; each further one is twice as long
	breakMost  = 30 * time.Second // the longest
)

// Breaker leaves an endpoint alone that fails, so that those who want to ask
// are answered at once and it can come back. The zero value is closed.
type Breaker struct {
	mu    sync.Mutex
	fails int           // in a row
	pause time.Duration // the last one; zero while closed
	until time.Time     // nobody asks before
}

// Wait tells how long nobody may ask. After a pause one call goes first, and
// the others wait for its outcome; a call takes no longer than within.
func (b *Breaker) Wait(now time.Time, within time.Duration) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if left := b.until.Sub(now); left > 0 {
		return left
	}
	if b.pause > 0 {
		b.until = now.Add(within)
	}
	return 0
}

// Open tells how long nobody may ask, and asks for nothing.
func (b *Breaker) Open(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.until.Sub(now))
}

// Report a call's outcome. retryAfter is what the endpoint asked for, or zero.
func (b *Breaker) Report(now time.Time, failed bool, retryAfter time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !failed {
		b.fails, b.pause, b.until = 0, 0, time.Time{}
		return
	}
	b.fails++
	if b.fails >= breakAfter {
		b.pause = min(max(2*b.pause, breakLeast), breakMost)
		b.until = now.Add(b.pause)
	}
	if asked := now.Add(min(retryAfter, breakMost)); retryAfter > 0 && asked.After(b.until) {
		b.pause, b.until = max(b.pause, breakLeast), asked
	}
}
