// Package breaker leaves an endpoint alone that fails, so that those who want to
// ask are answered at once and it can come back.
package breaker

import (
	"sync"
	"time"
)

// Limits are how a breaker breaks.
type Limits struct {
	After       int           // failures in a row
	Least, Most time.Duration // the first pause, of which each further one is twice the last, and the longest
	Within      time.Duration // a call takes no longer
}

// Breaker is that of one endpoint. The zero value is closed.
type Breaker struct {
	mu     sync.Mutex
	fails  int           // in a row
	pause  time.Duration // the last one; zero while closed
	until  time.Time     // there is no call before
	trying bool          // one call went first after the pause, and is not back
}

// Wait is how long the endpoint is left alone still, for who is about to call it.
// After a pause one call goes first, and the others wait for its outcome.
func (b *Breaker) Wait(l Limits, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if left := b.until.Sub(now); left > 0 {
		return left
	}
	if b.pause > 0 {
		b.until, b.trying = now.Add(l.Within), true
	}
	return 0
}

// Open is how long the endpoint is left alone still, for who only looks.
func (b *Breaker) Open(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.until.Sub(now))
}

// Opens reports whether one more failure would open it, or make its pause longer.
func (b *Breaker) Opens(l Limits) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trying || b.pause == 0 && b.fails+1 >= l.After
}

// Report a call's outcome. retryAfter is what the endpoint asked for, or zero.
//
// Calls that were under way when it opened fail one after the other, and say
// nothing new: only the one that went first makes the pause longer.
func (b *Breaker) Report(l Limits, now time.Time, failed bool, retryAfter time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !failed {
		b.fails, b.pause, b.until, b.trying = 0, 0, time.Time{}, false
		return
	}
	b.fails++
	switch {
	case b.trying:
		b.pause, b.trying = min(2*b.pause, l.Most), false
		b.until = now.Add(b.pause)
	case b.pause == 0 && b.fails >= l.After:
		b.pause = l.Least
		b.until = now.Add(b.pause)
	}
	if asked := now.Add(min(retryAfter, l.Most)); retryAfter > 0 && asked.After(b.until) {
		b.until = asked
	}
}

// State is what an operator sees of a breaker.
type State struct {
	Open    bool    `json:"open"`
	Seconds float64 `json:"seconds,omitempty"` // for how long still
}

// StateOf is the state of one that is open for a while still, or closed.
func StateOf(left time.Duration) State {
	if left <= 0 {
		return State{}
	}
	return State{Open: true, Seconds: left.Seconds()}
}
