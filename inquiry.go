package caddyoauth

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/breaker"
	"github.com/caddyoauth/caddyoauth/internal/gateway/pool"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// inquiries are shared by sites and outlive reloads, as authorities do.
var inquiries = pool.New[*inquiry]()

const (
	askWithin      = 5 * time.Second  // one call, from looking for the endpoint to the answer's last byte
	inactiveFor    = 10 * time.Second // how long an issuer's no counts
	mostInactive   = 10_000           // of those that are remembered
	opinionSize    = 512              // of what is remembered beside the answer itself, in bytes
	bytesPerAnswer = 1 << 10          // on average, for as many answers as "cache" allows
)

// askBreaks is when an endpoint is left alone that fails, and for how long.
var askBreaks = breaker.Limits{After: 5, Least: time.Second, Most: 30 * time.Second, Within: askWithin}

// inquiry asks one issuer about tokens, as one client, and remembers what it
// said. Everything that changes what an answer means makes another inquiry, so
// that no answer outlives or escapes the settings it was given under.
type inquiry struct {
	authority *authority // whose tokens they are
	issuer    string
	always    bool // about JWTs too
	server    *as.Server
	own       bool // server belongs to the inquiry alone
	at        as.Introspection
	profile   token.Profile // for reading answers; audience and skew are each gateway's own
	remember  time.Duration // 0: not at all
	breaker   breaker.Breaker
	probe     probe
	limits    *askLimits
	metrics   askMetrics
	ctx       context.Context
	stop      context.CancelFunc

	// Those that are inactive are apart: a flood of them evicts no good one.
	active, inactive *otter.Cache[token.Digest, *opinion]

	mu      sync.Mutex
	flights map[token.Digest]*inquiryFlight // one for each token that is asked about now
}

// opinion is what an issuer said of a token. It does not change.
type opinion struct {
	facts   *token.Facts
	refusal error  // a *token.Refusal; nil: facts count
	answer  string // the issuer's JSON, for claims that somebody may ask for; "" for a JWT
	until   int64  // nanoseconds since 1970; then the issuer is asked again
}

// inquiryFlight is a call under way.
type inquiryFlight struct {
	done    chan struct{}
	opinion *opinion
	err     error
}

// unasked is a failure: there is no answer about a token. It says nothing of
// the token.
type unasked struct {
	issuer, reason string
	after          time.Duration // when to come again
	err            error
}

func (u *unasked) Error() string { return u.err.Error() }
func (u *unasked) Unwrap() error { return u.err }

var (
	errAskTooOften = errors.New("the issuer is asked about too many tokens: rate in introspect")
	errAskPaused   = errors.New("the introspection endpoint failed several times, and is left alone for a while")
)

// inquire gets the inquiry of an issuer from the pool.
func (i *Issuer) inquire(l lent, set settings, t *trust, entries int) (q *inquiry, release func()) {
	key := l.key + " " + i.Introspect.mark(set.introspect, t.client, entries, i.wantsType())
	return inquiries.Acquire(key, func() *inquiry {
		q := &inquiry{
			authority: l.authority, issuer: l.issuer, always: i.Introspect.Always, server: l.server,
			at:       as.Introspection{Endpoint: set.introspect, Client: *t.client},
			profile:  token.Profile{Issuer: t.profile.Issuer, IDTokens: t.profile.IDTokens, Told: i.wantsType()},
			remember: i.Introspect.remember(), limits: newAskLimits(i.Introspect.rate()),
			metrics: measure.forInquiry(l.issuer), flights: map[token.Digest]*inquiryFlight{},
		}
		if q.server == nil { // its keys come from a file
			q.server, q.own = as.New(l.config), true
		}
		if entries == 0 {
			q.remember = 0
		}
		q.ctx, q.stop = context.WithCancel(context.Background())
		q.active = newOpinions(uint64(max(1, entries))*bytesPerAnswer, mostRemembered)
		q.inactive = newOpinions(mostInactive*opinionSize, inactiveFor)
		return q
	})
}

// newOpinions is a cache that is bounded by what it weighs: issuers decide how
// long their answers are.
func newOpinions(weight uint64, life time.Duration) *otter.Cache[token.Digest, *opinion] {
	return otter.Must(&otter.Options[token.Digest, *opinion]{
		MaximumWeight:    weight,
		Weigher:          func(_ token.Digest, o *opinion) uint32 { return uint32(opinionSize + len(o.answer)) }, //nolint:gosec // answers are bounded
		ExpiryCalculator: otter.ExpiryWriting[token.Digest, *opinion](life),
		Logger:           &otter.NoopLogger{}, // nothing it says could be acted on
	})
}

// Destruct lets go of the calls under way.
func (q *inquiry) Destruct() error {
	q.stop()
	q.active.StopAllGoroutines()
	q.inactive.StopAllGoroutines()
	q.limits.stop()
	if q.own {
		q.server.Close()
	}
	return nil
}

// recall is what the issuer said of a token not long ago, or nil.
func (q *inquiry) recall(key token.Digest, now time.Time) *opinion {
	if q.remember == 0 {
		return nil
	}
	for _, cache := range []*otter.Cache[token.Digest, *opinion]{q.active, q.inactive} {
		if said, hit := cache.GetIfPresent(key); hit && now.UnixNano() < said.until {
			return said // one of the two: what is said anew ends what was said before
		}
	}
	return nil
}

// forget what was said of a token.
func (q *inquiry) forget(key token.Digest) { q.active.Invalidate(key) }

// question is one token that the issuer is asked about.
type question struct {
	raw    string
	key    token.Digest
	jwt    *token.Facts // of a token that was verified; nil: it is opaque
	remote string       // who sent it
	clock  func() time.Time
}

// ask makes a call to the issuer, or shares the one under way for this token.
// It is bounded by a context of its own: the first to ask may leave, and the
// others still get the answer.
func (q *inquiry) ask(ctx context.Context, what question) (*opinion, error) {
	flight, said, err := q.board(what)
	if flight == nil {
		return said, err
	}
	select {
	case <-flight.done:
		return flight.opinion, flight.err
	case <-ctx.Done():
		return nil, q.failed(verdict.IntrospectionUnavailable, 0, context.Cause(ctx))
	}
}

// board finds the call for a token, or makes it begin, or tells why there is
// none.
func (q *inquiry) board(what question) (*inquiryFlight, *opinion, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if flight := q.flights[what.key]; flight != nil {
		return flight, nil, nil
	}
	now := what.clock()
	if said := q.recall(what.key, now); said != nil {
		return nil, said, nil // the call ended just now
	}
	// In this order: who is turned away takes nothing from the rate, and who is
	// over it is not the one that tries after a pause.
	wait := q.breaker.Open(now)
	if wait == 0 && !q.limits.allow(what.remote, what.key, now) {
		q.metrics.limited.Inc()
		return nil, nil, q.failed(verdict.IntrospectionLimited, time.Second, errAskTooOften)
	}
	if wait == 0 {
		wait = q.breaker.Wait(askBreaks, now)
	}
	if wait > 0 {
		q.metrics.paused.Inc()
		return nil, nil, q.failed(verdict.IntrospectionUnavailable, wait, errAskPaused)
	}
	flight := &inquiryFlight{done: make(chan struct{})}
	q.flights[what.key] = flight
	go q.fly(flight, what)
	return flight, nil, nil
}

// fly makes the call. What it brings is remembered before the flight ends, so
// that nobody asks a second time in between.
func (q *inquiry) fly(flight *inquiryFlight, what question) {
	ctx, cancel := context.WithTimeout(q.ctx, askWithin)
	defer cancel()
	began := time.Now()
	answer, doc, err := q.server.Introspect(ctx, q.at, secret.New(what.raw))
	now := what.clock()
	if err == nil {
		flight.opinion = q.read(answer, doc, what, now)
	} else {
		flight.err = q.failed(verdict.IntrospectionUnavailable, min(retryAfterOf(err), askBreaks.Most), err)
	}
	q.account(flight, err, now, time.Since(began))
	q.mu.Lock()
	q.keep(what.key, flight.opinion, now)
	delete(q.flights, what.key)
	q.mu.Unlock()
	close(flight.done)
}

// read makes an opinion of an answer.
func (q *inquiry) read(answer *token.Answer, doc string, what question, now time.Time) *opinion {
	said := &opinion{until: now.Add(q.remember).UnixNano()}
	if what.jwt == nil {
		said.facts, said.refusal = q.profile.Read(answer)
		said.answer = doc
	} else {
		said.facts, said.refusal = q.profile.Confirm(what.jwt, answer)
	}
	if said.refusal != nil {
		said.answer, said.until = "", now.Add(min(q.remember, inactiveFor)).UnixNano()
		return said
	}
	// Never beyond the expiry: from then on it is the issuer's to say.
	if expiry := time.Unix(said.facts.Expiry, 0); expiry.Before(now.Add(q.remember)) {
		said.until = expiry.UnixNano()
	}
	return said
}

// keep remembers an opinion; failures are none. Of facts whose time is over
// nothing is kept: they would only be asked for again.
func (q *inquiry) keep(key token.Digest, said *opinion, now time.Time) {
	if said == nil {
		return
	}
	q.limits.learn(key, said.refusal == nil)
	switch {
	case now.UnixNano() >= said.until:
	case said.refusal != nil:
		q.inactive.Set(key, said)
	default:
		q.active.Set(key, said)
	}
}

// account tells breaker and metrics how a call went.
func (q *inquiry) account(flight *inquiryFlight, err error, now time.Time, took time.Duration) {
	q.metrics.duration.Observe(took.Seconds())
	switch {
	case err != nil:
		q.metrics.failed.Inc()
	case flight.opinion.refusal != nil:
		q.metrics.inactive.Inc()
	default:
		q.metrics.active.Inc()
	}
	_, called := errors.AsType[*as.CallError](err)
	if err != nil && !called {
		return // nobody was asked
	}
	q.breaker.Report(askBreaks, now, q.broke(err, now), retryAfterOf(err))
}

// retryAfterOf is what the endpoint asked for, or zero.
func retryAfterOf(err error) time.Duration {
	if failed, ok := errors.AsType[*as.CallError](err); ok {
		return failed.RetryAfter
	}
	return 0
}

func (q *inquiry) failed(reason string, after time.Duration, err error) error {
	return &unasked{issuer: q.issuer, reason: reason, after: after, err: err}
}
