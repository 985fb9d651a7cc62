package session

import (
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/breaker"
)

// breakers keep a node from hammering token endpoints that fail: one for each
// issuer, in memory only.
type breakers struct {
	mu  sync.Mutex
	all map[string]*breaker.Breaker
}

func (b *breakers) of(issuer string) *breaker.Breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.all[issuer]
	if one == nil {
		if b.all == nil {
			b.all = map[string]*breaker.Breaker{}
		}
		one = new(breaker.Breaker)
		b.all[issuer] = one
	}
	return one
}

func (o *Options) breaks() breaker.Limits {
	return breaker.Limits{After: o.BreakerAfter, Least: o.BreakerMin, Most: o.BreakerMax, Within: o.TokenTimeout}
}

// Breakers tells of each issuer that is not asked now, how long still.
func (v *Vault) Breakers() map[string]time.Duration {
	now := v.cfg.Load().o.Now()
	v.brk.mu.Lock()
	defer v.brk.mu.Unlock()
	open := map[string]time.Duration{}
	for issuer, one := range v.brk.all {
		if left := one.Open(now); left > 0 {
			open[issuer] = left
		}
	}
	return open
}
