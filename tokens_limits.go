package caddyoauth

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// How often a client may fail at the token endpoint, from one address. One
// that others fail with from theirs is not locked out.
const (
	mostFailures  = 10
	failureWindow = time.Minute
	mostLimits    = 50_000
)

// How many calls to issuers strangers may cause at one time. Those beyond wait
// for a place, and for so long.
const (
	callsAtOnce     = 256
	callsPerAddress = 32
	placeWait       = 5 * time.Second
)

// tooMany refuses a client for a while.
type tooMany struct {
	wait   time.Duration
	failed bool // for its failures, and not for want of a place
}

func (t *tooMany) Error() string { return t.description() }

func (t *tooMany) description() string {
	if t.failed {
		return "too many failed attempts of this client from this address"
	}
	return "too many requests at one time"
}

// limits counts failures for each pair of client id and remote address, and
// the calls under way for each address, in bounded memory.
type limits struct {
	pairs     *otter.Cache[digest, *attempts]
	addresses *otter.Cache[string, chan struct{}]
	all       chan struct{}
}

type attempts struct {
	began    time.Time
	failures atomic.Int32
}

// tokenLimits are one for the process: a reload forgets no failure.
var tokenLimits = sync.OnceValue(func() *limits {
	return &limits{
		pairs: otter.Must(&otter.Options[digest, *attempts]{
			MaximumSize:      mostLimits,
			ExpiryCalculator: otter.ExpiryCreating[digest, *attempts](failureWindow),
			Logger:           &otter.NoopLogger{},
		}),
		addresses: otter.Must(&otter.Options[string, chan struct{}]{
			MaximumSize:      mostLimits,
			ExpiryCalculator: otter.ExpiryAccessing[string, chan struct{}](failureWindow),
			Logger:           &otter.NoopLogger{},
		}),
		all: make(chan struct{}, callsAtOnce),
	}
})

// attempt answers a *tooMany, or where to tell what became of a request.
func (l *limits) attempt(clientID, address string) (done func(error), err error) {
	key := digest(sha256.Sum256([]byte(network(address) + "\x00" + clientID)))
	one, _ := l.pairs.SetIfAbsent(key, &attempts{began: time.Now()})
	if one.failures.Load() >= mostFailures {
		return nil, &tooMany{max(time.Second, time.Until(one.began.Add(failureWindow))), true}
	}
	return func(err error) {
		if failedAttempt(err) {
			one.failures.Add(1)
		}
	}, nil
}

// place waits for a place among the calls of an address and of all. Who has
// waited has to attempt again: others may have failed meanwhile.
func (l *limits) place(ctx context.Context, address string) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, placeWait)
	defer cancel()
	own, _ := l.addresses.SetIfAbsent(network(address), make(chan struct{}, callsPerAddress))
	for n, places := range []chan struct{}{own, l.all} {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			if n > 0 {
				<-own
			}
			return nil, &tooMany{wait: time.Second}
		}
	}
	return func() { <-l.all; <-own }, nil
}

// network is what one remote host has: for IPv6 a /64, of which it may use any
// address.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Is4() || ip.Is4In6() {
		return address
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}
