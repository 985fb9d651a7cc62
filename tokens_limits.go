package caddyoauth

import (
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
	mostAtOnce    = 64 // requests under way, or parallel guesses would not be counted in time
	mostLimits    = 50_000
)

// tooMany refuses a client for a while.
type tooMany struct{ wait time.Duration }

func (*tooMany) Error() string { return "too many failed attempts" }

// limits counts failures for each pair of client id and remote address, in
// bounded memory.
type limits struct {
	pairs *otter.Cache[digest, *attempts]
}

type attempts struct {
	began    time.Time
	failures atomic.Int32
	underWay atomic.Int32
}

// tokenLimits are one for the process: a reload forgets no failure.
var tokenLimits = sync.OnceValue(func() *limits {
	return &limits{otter.Must(&otter.Options[digest, *attempts]{
		MaximumSize:      mostLimits,
		ExpiryCalculator: otter.ExpiryCreating[digest, *attempts](failureWindow),
		Logger:           &otter.NoopLogger{},
	})}
})

// begin lets a request through, or answers a *tooMany. release takes what
// became of it.
func (l *limits) begin(clientID, address string) (release func(error), err error) {
	key := digest(sha256.Sum256([]byte(network(address) + "\x00" + clientID)))
	one, _ := l.pairs.SetIfAbsent(key, &attempts{began: time.Now()})
	if one.failures.Load() >= mostFailures || one.underWay.Load() >= mostAtOnce {
		return nil, &tooMany{max(time.Second, time.Until(one.began.Add(failureWindow)))}
	}
	one.underWay.Add(1)
	return func(err error) {
		one.underWay.Add(-1)
		if failedAttempt(err) {
			one.failures.Add(1)
		}
	}, nil
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
