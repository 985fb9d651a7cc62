package session

import (
	"sync"
	"time"
)

// breakers keep a node from hammering token endpoints that fail: one for each
// issuer, in memory only.
type breakers struct {
	mu  sync.Mutex
	all map[string]*breaker
}

type breaker struct {
	fails int           // in a row
	pause time.Duration // the last one; zero while closed
	until time.Time     // nobody asks before
}

// wait tells how long nobody may ask. After a pause one call goes first, and
// the others wait for its outcome.
func (b *breakers) wait(issuer string, o *Options, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.all[issuer]
	if one == nil {
		return 0
	}
	if left := one.until.Sub(now); left > 0 {
		return left
	}
	if one.pause > 0 {
		one.until = now.Add(o.TokenTimeout)
	}
	return 0
}

// report a call's outcome.
func (b *breakers) report(issuer string, o *Options, now time.Time, failed bool, retryAfter time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !failed { // whatever it asked of one grant
		delete(b.all, issuer)
		return
	}
	if b.all == nil {
		b.all = map[string]*breaker{}
	}
	one := b.all[issuer]
	if one == nil {
		one = &breaker{}
		b.all[issuer] = one
	}
	one.fails++
	if one.fails >= o.BreakerAfter {
		one.pause = min(max(2*one.pause, o.BreakerMin), o.BreakerMax)
		one.until = now.Add(one.pause)
	}
	if asked := now.Add(min(retryAfter, o.BreakerMax)); asked.After(one.until) && retryAfter > 0 {
		one.until = asked
	}
}

// Breakers tells of each issuer that is not asked now, how long still.
func (v *Vault) Breakers() map[string]time.Duration {
	now := v.cfg.Load().o.Now()
	v.brk.mu.Lock()
	defer v.brk.mu.Unlock()
	open := map[string]time.Duration{}
	for issuer, one := range v.brk.all {
		if left := one.until.Sub(now); left > 0 {
			open[issuer] = left
		}
	}
	return open
}
