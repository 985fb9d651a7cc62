// Package limits bounds how often strangers may fail at an issuer through the
// gateway, and how many calls to it they may cause at one time.
package limits

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/pool"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// How often a client may fail at an issuer, from one address. One that others
// fail with from theirs is not locked out.
const (
	MostFailures  = 10
	failureWindow = time.Minute
	mostLimits    = 50_000 // for each issuer
)

// How often unknown clients may fail from one address, all together:
// an id is made up quickly, and each has ten failures of its own. A client that
// has got a token within a day is known, and none of them.
const (
	MostStrangers = 100
	provedFor     = 24 * time.Hour
)

// How many calls to one issuer strangers may cause at one time. Those beyond
// wait for a place, and for so long.
const (
	CallsAtOnce     = 256
	CallsPerAddress = 32
	PlaceWait       = 5 * time.Second
)

// attempted is what a client tries. Each is counted by itself, so that no stranger
// keeps users from logging in by failing at the token endpoint.
type attempted string

// What is counted by itself.
const (
	AtTokenEndpoint attempted = ""
	AtCallback      attempted = "callback" // with a code that any stranger can make up
	AtDevice        attempted = "device"   // that begins, for nothing or not
)

// TooMany refuses a client for a while.
type TooMany struct {
	Wait   time.Duration
	failed bool // for its failures, and not for want of a place
}

func (t *TooMany) Error() string {
	if t.failed {
		return "too many failed attempts of this client from this address"
	}
	return "too many requests at one time"
}

// Limiter counts the failures at one issuer for each pair of client id and remote
// address, and the calls under way for each address, in bounded memory. Nothing
// of it is shared with other issuers: one that is slow, or that strangers keep
// busy, stops no log-in at another.
type Limiter struct {
	pairs     *otter.Cache[token.Digest, *attempts]
	known     *otter.Cache[token.Digest, struct{}] // clients that have proved who they are
	addresses *otter.Cache[string, chan struct{}]
	all       chan struct{}
}

type attempts struct {
	began    time.Time
	failures atomic.Int32
}

// Failures is where a failure counts: for the client, and for its address, if
// the client is unknown.
type Failures struct{ one, strangers *attempts }

// Fail counts one more.
func (a Failures) Fail() {
	a.one.failures.Add(1)
	if a.strangers != nil {
		a.strangers.failures.Add(1)
	}
}

// limiters has the limits of each issuer for as long as a configuration asks it
// for grants, so that a reload forgets no failure.
var limiters = pool.New[*Limiter]()

// Acquire lends the limits of the issuer with a reach until release is
// called.
func Acquire(reach string) (l *Limiter, release func()) {
	return limiters.Acquire(reach, newLimiter)
}

// newLimiter is for one issuer; Destruct ends its background work.
func newLimiter() *Limiter {
	return &Limiter{
		pairs: otter.Must(&otter.Options[token.Digest, *attempts]{
			MaximumSize:      mostLimits,
			ExpiryCalculator: otter.ExpiryCreating[token.Digest, *attempts](failureWindow),
			Logger:           &otter.NoopLogger{},
		}),
		known: otter.Must(&otter.Options[token.Digest, struct{}]{
			MaximumSize:      mostLimits,
			ExpiryCalculator: otter.ExpiryWriting[token.Digest, struct{}](provedFor),
			Logger:           &otter.NoopLogger{},
		}),
		addresses: otter.Must(&otter.Options[string, chan struct{}]{
			MaximumSize:      mostLimits,
			ExpiryCalculator: otter.ExpiryAccessing[string, chan struct{}](failureWindow),
			Logger:           &otter.NoopLogger{},
		}),
		all: make(chan struct{}, CallsAtOnce),
	}
}

// Destruct ends the background work of the caches.
func (l *Limiter) Destruct() error {
	l.pairs.StopAllGoroutines()
	l.known.StopAllGoroutines()
	l.addresses.StopAllGoroutines()
	return nil
}

// Attempt answers a *tooMany, or where to count a failure.
func (l *Limiter) Attempt(what attempted, clientID, address string) (to Failures, err error) {
	address = Network(address)
	if to.one, err = l.within(MostFailures, string(what), address, clientID); err != nil || what != AtTokenEndpoint {
		return to, err
	}
	if _, known := l.known.GetIfPresent(token.DigestOf(clientID)); !known {
		to.strangers, err = l.within(MostStrangers, "strangers", address, "")
	}
	return to, err
}

func (l *Limiter) within(most int32, what, address, clientID string) (*attempts, error) {
	one, _ := l.pairs.SetIfAbsent(token.DigestOf(what+"\x00"+address+"\x00"+clientID), &attempts{began: time.Now()})
	if one.failures.Load() >= most {
		return nil, &TooMany{max(time.Second, time.Until(one.began.Add(failureWindow))), true}
	}
	return one, nil
}

// Proved notes a client that the issuer knows.
func (l *Limiter) Proved(clientID string) { l.known.Set(token.DigestOf(clientID), struct{}{}) }

// Place waits for a place among the calls of an address and of all. Who has
// waited has to attempt again: others may have failed meanwhile.
func (l *Limiter) Place(ctx context.Context, address string) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, PlaceWait)
	defer cancel()
	own, _ := l.addresses.SetIfAbsent(Network(address), make(chan struct{}, CallsPerAddress))
	for n, places := range []chan struct{}{own, l.all} {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			if n > 0 {
				<-own
			}
			return nil, &TooMany{Wait: time.Second}
		}
	}
	return func() { <-l.all; <-own }, nil
}

// Network is what one remote host has: for IPv6 a /64, of which it may use any
// address.
func Network(address string) string {
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
