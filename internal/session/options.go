package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// OnUncertain is what happens at the AT's expiry when it is not known whether the
// RT was consumed.
type OnUncertain uint8

const (
	// Retry presents the RT once more, and again, with pauses, where the AS never
	// answers that. An AS with reuse detection may then end
	// the whole grant; one with a reuse grace, or one that never saw the first
	// presentation, renews it.
	Retry OnUncertain = iota
	// Reauth presents nothing and ends the grant.
	Reauth
)

// Options are a vault's settings. What is zero gets its default. Durations
// that depend on an AT's lifetime are upper bounds of the rule they name.
type Options struct {
	// Now is the node's clock. Required.
	Now func() time.Time
	// Renew asks the AS to renew a grant, once, without retrying, and ends with
	// ctx. It has to tell exactly what became of the call. Required.
	Renew func(ctx context.Context, grant Grant) Outcome
	// Revoke gives tokens back to the AS which will not be used: those of a
	// grant that its holder ended, and those that came too late for it. It is
	// called at most once for each and may be nil.
	Revoke func(ctx context.Context, grant Grant)
	// Observe is told of each renewal, wait, end and failed save. It may be nil,
	// and must not block.
	Observe func(Event)
	// Authority names the server that a grant is renewed at: failures and waiting
	// requests are counted for each. It is the grant's issuer by default, and has
	// to be another where two servers go by one name.
	Authority func(grant *Grant) string
	// Asker names whom a grant is renewed as: a secret that is out of date is no
	// failure of the server, and no matter of those that ask it as another client.
	// By default there is one.
	Asker func(grant *Grant) string
	// Works asks the server of a grant something that hangs on no grant, and tells
	// whether it answers. Holders of grants choose what is renewed: before failures
	// have a server left alone for everybody, this is asked. It ends with ctx. Nil:
	// failures are taken for the server's.
	Works func(ctx context.Context, grant Grant) bool
	// Node names this process. Drawn at random by default.
	Node ID

	// RefreshAhead: an AT with less life left is renewed in the background
	// while it still serves: min(60 s, 20 % of its lifetime). Each record on
	// each node takes up to a quarter off, so that they do not align.
	RefreshAhead time.Duration
	// MinLife: an AT with less life left is not forwarded while it can be
	// renewed: min(5 s, 10 % of its lifetime).
	MinLife time.Duration
	// MinRefreshInterval is the pause after a renewal, whatever the AS said of
	// the AT's life: min(10 s, 25 % of its lifetime).
	MinRefreshInterval time.Duration
	// DefaultLifetime of an AT of which the AS did not say it: 5 min.
	DefaultLifetime time.Duration
	// TokenTimeout is how long the AS may take: 8 s.
	TokenTimeout time.Duration
	// Lease is how long other nodes leave an open intent alone: 20 s. It must
	// exceed TokenTimeout and the time that a write takes.
	Lease time.Duration
	// RefreshWait is how long a request waits for a renewal: 10 s.
	RefreshWait time.Duration
	// StoreTimeout ends a call of the store: 5 s, but at most half of what
	// Lease exceeds TokenTimeout by.
	StoreTimeout time.Duration
	// ReuseGrace is how long the AS answers an RT again after it has rotated
	// it. Zero, the default, says it does not. Declaring what the AS does not
	// do costs grants.
	ReuseGrace time.Duration
	// OnUncertain is Retry by default.
	OnUncertain OnUncertain
	// Idle ends a grant that was not used for so long: 1 h.
	Idle time.Duration
	// Max ends a grant however much it is used: 12 h.
	Max time.Duration
	// Waiters bound the requests that wait for one record and at one server:
	// 1,024 and 10,000. Those beyond are answered at once.
	WaitersPerRecord, Waiters int
	// GrantsPerClient and GrantsPerSubject bound the live grants of one client
	// that acts for itself, 100,000, and of one user, 1,000. See [Full].
	GrantsPerClient, GrantsPerSubject int
	// The breaker of an issuer opens after BreakerAfter failures in a row (5),
	// for BreakerMin (5 s), doubling to BreakerMax (60 s). BreakerMax also
	// bounds a Retry-After.
	BreakerAfter           int
	BreakerMin, BreakerMax time.Duration
	// BackOffMin is a record's own pause after a failure, 1 s, doubling to
	// BackOffMax, 10 s.
	BackOffMin, BackOffMax time.Duration

	// jitter answers between 0 and d.
	jitter func(d time.Duration) time.Duration
}

func or[T comparable](value *T, standard T) {
	var zero T
	if *value == zero {
		*value = standard
	}
}

// complete fills in the defaults, and refuses what would break I1.
func (o Options) complete() (Options, error) {
	or(&o.Node, NewID())
	or(&o.RefreshAhead, time.Minute)
	or(&o.MinLife, 5*time.Second)
	or(&o.MinRefreshInterval, 10*time.Second)
	or(&o.DefaultLifetime, 5*time.Minute)
	or(&o.TokenTimeout, 8*time.Second)
	or(&o.Lease, 20*time.Second)
	or(&o.RefreshWait, 10*time.Second)
	or(&o.StoreTimeout, 5*time.Second)
	or(&o.Idle, time.Hour)
	or(&o.Max, 12*time.Hour)
	or(&o.WaitersPerRecord, 1024)
	or(&o.Waiters, 10_000)
	or(&o.GrantsPerClient, 100_000)
	or(&o.GrantsPerSubject, 1000)
	if o.Authority == nil {
		o.Authority = func(g *Grant) string { return g.Issuer }
	}
	if o.Asker == nil {
		o.Asker = func(*Grant) string { return "" }
	}
	or(&o.BreakerAfter, 5)
	or(&o.BreakerMin, 5*time.Second)
	or(&o.BreakerMax, time.Minute)
	or(&o.BackOffMin, time.Second)
	or(&o.BackOffMax, 10*time.Second)
	if o.jitter == nil {
		o.jitter = func(d time.Duration) time.Duration { return rand.N(d + 1) } //nolint:gosec // spreads load, keeps no secret
	}
	switch {
	case o.Now == nil || o.Renew == nil:
		return o, fmt.Errorf("a vault needs a clock and a way to renew")
	case o.Lease < o.TokenTimeout+time.Second:
		return o, fmt.Errorf("the lease (%v) must exceed the token timeout (%v) by at least a second", o.Lease, o.TokenTimeout)
	}
	o.StoreTimeout = min(o.StoreTimeout, (o.Lease-o.TokenTimeout)/2)
	return o, nil
}

// ahead is the window of background renewal. The shift lies between 0 and 255
// and belongs to a record on a node.
func (o *Options) ahead(lifetime time.Duration, shift byte) time.Duration {
	whole := min(o.RefreshAhead, lifetime/5)
	return max(whole-whole/4*time.Duration(shift)/255, o.minLife(lifetime))
}

func (o *Options) minLife(lifetime time.Duration) time.Duration { return min(o.MinLife, lifetime/10) }

func (o *Options) interval(lifetime time.Duration) time.Duration {
	return min(o.MinRefreshInterval, lifetime/4)
}

// pause is how long the AS is left alone after a failure. One whose clock is off
// is asked no more often than where all is well; and no request waits for a clock.
func (o *Options) pause(out Outcome, fails uint8) time.Duration {
	if late, ok := out.(Untimely); ok {
		life, _ := o.life(&late.Answer, o.Now())
		return max(o.backOff(fails), o.interval(life), o.RefreshWait+time.Second)
	}
	return o.backOff(fails)
}

// backOff is the pause after the given number of failures.
func (o *Options) backOff(fails uint8) time.Duration {
	pause := o.BackOffMin
	for range min(fails, 32) - 1 {
		pause = min(2*pause, o.BackOffMax)
	}
	return pause + o.jitter(pause/4)
}

// CheckOptions tells what a vault would refuse of options, apart from the
// functions that they lack.
func CheckOptions(o Options) error {
	_, err := o.standIn().complete()
	return err
}

// WithDefaults are options as a vault would have them.
func WithDefaults(o Options) Options {
	o, _ = o.standIn().complete() // what is wrong with them, CheckOptions tells
	return o
}

// standIn has the functions that are required.
func (o Options) standIn() Options {
	o.Now = func() time.Time { return time.Time{} }
	o.Renew = func(context.Context, Grant) Outcome { return nil }
	return o
}
