package caddyoauth

import (
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"
)

// askLimits bound how often strangers can have an issuer asked, in bounded
// memory: in all, and half of it for one remote address, so that one that
// floods leaves something to the others.
type askLimits struct {
	all       *rate.Limiter
	each      int
	addresses *otter.Cache[string, *rate.Limiter]
}

func newAskLimits(perSecond int) *askLimits {
	return &askLimits{
		all:  rate.NewLimiter(rate.Limit(perSecond), perSecond),
		each: (perSecond + 1) / 2,
		addresses: otter.Must(&otter.Options[string, *rate.Limiter]{
			MaximumSize:      mostLimits,
			ExpiryCalculator: otter.ExpiryAccessing[string, *rate.Limiter](failureWindow),
			Logger:           &otter.NoopLogger{},
		}),
	}
}

// allow takes a call from the address's share and from that of all, or none.
// The address comes first: one that is over its own takes nothing from others.
func (l *askLimits) allow(remote string, now time.Time) bool {
	remote = network(remote)
	own, known := l.addresses.GetIfPresent(remote)
	if !known {
		own, _ = l.addresses.SetIfAbsent(remote, rate.NewLimiter(rate.Limit(l.each), l.each))
	}
	share := own.ReserveN(now, 1)
	if share.OK() && share.DelayFrom(now) == 0 && l.all.AllowN(now, 1) {
		return true
	}
	share.CancelAt(now)
	return false
}
