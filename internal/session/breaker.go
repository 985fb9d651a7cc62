package session

import (
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/breaker"
)

// breakers keep a node from hammering token endpoints that fail: one for each
// server, in memory only.
type breakers struct {
	mu  sync.Mutex
	all map[string]*issuerBreaker
}

type issuerBreaker struct {
	breaker.Breaker
	issuer string
}

func (b *breakers) of(o *Options, g *Grant) *breaker.Breaker {
	authority := o.Authority(g)
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.all[authority]
	if one == nil {
		if b.all == nil {
			b.all = map[string]*issuerBreaker{}
		}
		one = &issuerBreaker{issuer: g.Issuer}
		b.all[authority] = one
	}
	return &one.Breaker
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
	for _, one := range v.brk.all {
		if left := one.Open(now); left > 0 {
			open[one.issuer] = max(open[one.issuer], left)
		}
	}
	return open
}
