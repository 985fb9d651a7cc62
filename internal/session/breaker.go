package session

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/breaker"
)

// breakers keep a node from hammering token endpoints that fail: one for each
// server and whom it is asked as, in memory only.
type breakers struct {
	mu  sync.Mutex
	all map[string]*issuerBreaker
}

type issuerBreaker struct {
	breaker.Breaker
	issuer  string
	probing atomic.Bool // a probe finds out whether the server works
}

func (b *breakers) of(o *Options, g *Grant) *issuerBreaker {
	authority := o.Authority(g) + "\x00" + o.Asker(g)
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
	return one
}

func (o *Options) breaks() breaker.Limits {
	return breaker.Limits{After: o.BreakerAfter, Least: o.BreakerMin, Most: o.BreakerMax, Within: o.TokenTimeout}
}

// worksWithin: a server that takes longer to say no is as good as down.
const worksWithin = 3 * time.Second

// report tells the breaker how a call for a grant went. A server may fail with
// some grants alone, those of a user that it has half deleted for instance, whose
// holder can come with many and again and again. So where a failure would have it
// left alone, it is asked something else first. No request waits for that.
func (f *flight) report(ctx context.Context, g Grant, out Outcome, at time.Time) {
	o := &f.c.o
	b, wait := f.v.brk.of(o, &g), retryAfter(out)
	switch {
	case !failed(out, g.Kind):
		b.Report(o.breaks(), at, false, wait)
	case o.Works == nil || !ofThisGrant(out) || wait == 0 && !b.Opens(o.breaks()):
		b.Report(o.breaks(), at, true, wait)
	case b.probing.CompareAndSwap(false, true): // else a probe is under way
		f.v.work.Go(func() {
			defer b.probing.Store(false)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), worksWithin)
			defer cancel()
			defer context.AfterFunc(f.v.base, cancel)()
			b.Report(o.breaks(), at, !f.c.works(ctx, g), wait)
		})
	}
}

// works asks. A panic there is no answer.
func (c *config) works(ctx context.Context, g Grant) (works bool) {
	defer func() {
		if recover() != nil {
			works = false
		}
	}()
	return c.o.Works(ctx, g)
}

// ofThisGrant reports whether a failure may be about one grant, and not
// about all: a server that cannot be reached, or that wants fewer calls.
func ofThisGrant(out Outcome) bool {
	switch out := out.(type) {
	case Unconsumed:
		return !out.TooMany
	case Unknown:
		return true
	}
	return false
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
