package introspection

import (
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"github.com/caddyoauth/caddyoauth/internal/gateway/limits"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// askLimits bound how often strangers can have an issuer asked, in bounded
// memory: in all, and half of it for one remote address, so that one that
// floods leaves something to the others.
//
// Strangers can invent tokens, from many addresses and for longer than an answer
// counts. So a quarter of each bound is out of reach of tokens that are new:
// those that the issuer called active not long ago come first.
type askLimits struct {
	all       *rate.Limiter
	each      int
	addresses *otter.Cache[string, *rate.Limiter]
	known     *otter.Cache[token.Digest, struct{}]
}

const (
	mostKnown     = 100_000
	knownFor      = time.Hour // since the issuer called a token active
	mostAddresses = 50_000
	limitsFor     = time.Minute // since an address asked last
)

func newAskLimits(perSecond int) *askLimits {
	return &askLimits{
		all:  rate.NewLimiter(rate.Limit(perSecond), perSecond),
		each: (perSecond + 1) / 2,
		addresses: otter.Must(&otter.Options[string, *rate.Limiter]{
			MaximumSize:      mostAddresses,
			ExpiryCalculator: otter.ExpiryAccessing[string, *rate.Limiter](limitsFor),
			Logger:           &otter.NoopLogger{},
		}),
		known: otter.Must(&otter.Options[token.Digest, struct{}]{
			MaximumSize:      mostKnown,
			ExpiryCalculator: otter.ExpiryWriting[token.Digest, struct{}](knownFor),
			Logger:           &otter.NoopLogger{},
		}),
	}
}

func (l *askLimits) stop() {
	l.addresses.StopAllGoroutines()
	l.known.StopAllGoroutines()
}

// learn what the issuer said of a token.
func (l *askLimits) learn(key token.Digest, active bool) {
	if active {
		l.known.Set(key, struct{}{})
	} else {
		l.known.Invalidate(key)
	}
}

// allow takes a call from the address's share and from that of all, or none.
// The address comes first: one that is over its own takes nothing from others.
func (l *askLimits) allow(remote string, key token.Digest, now time.Time) bool {
	remote = limits.Network(remote)
	own, found := l.addresses.GetIfPresent(remote)
	if !found {
		own, _ = l.addresses.SetIfAbsent(remote, rate.NewLimiter(rate.Limit(l.each), l.each))
	}
	if _, known := l.known.GetIfPresent(key); !known && (short(own, now) || short(l.all, now)) {
		return false
	}
	share := own.ReserveN(now, 1)
	if share.OK() && share.DelayFrom(now) == 0 && l.all.AllowN(now, 1) {
		return true
	}
	share.CancelAt(now)
	return false
}

// short reports whether only that quarter is left.
func short(l *rate.Limiter, now time.Time) bool {
	return l.TokensAt(now) < float64(1+l.Burst()/4)
}
