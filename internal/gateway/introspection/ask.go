package introspection

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Request is what an issuer is asked: about one token.
type Request struct {
	Token  string
	Digest token.Digest     // of the token
	JWT    *token.Facts     // of one that was verified; nil: it is opaque
	Claims token.Claims     // of the same, if answers complete it
	Remote string           // the address that it came from
	Now    func() time.Time // when an answer comes, later than it is asked for
}

// Ask makes a call to the issuer, or shares the one under way for this token.
// The call is bounded by a context of its own: the first to ask may leave, and
// the others still get the answer. An error is a
// [*verdict.Failure].
func (q *Introspector) Ask(ctx context.Context, what Request) (*Result, error) {
	shared, said, err := q.join(what)
	if shared == nil {
		return said, err
	}
	select {
	case <-shared.done:
		return shared.result, shared.err
	case <-ctx.Done():
		return nil, q.failed(verdict.IntrospectionUnavailable, 0, context.Cause(ctx))
	}
}

// join finds the call about a token that is under way, or begins one. It
// answers no call where the token is remembered by now, or may not be asked about.
func (q *Introspector) join(what Request) (*sharedCall, *Result, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if shared := q.calls[what.Digest]; shared != nil {
		return shared, nil, nil
	}
	now := what.Now()
	if said := q.Recall(what.Digest, now); said != nil {
		return nil, said, nil // the call ended just now
	}
	// In this order: who is turned away takes nothing from the rate, and who is
	// over it is not the one that tries after a pause.
	wait := q.breaker.Open(now)
	if wait == 0 && !q.limits.allow(what.Remote, what.Digest, now) {
		q.metrics.Limited.Inc()
		return nil, nil, q.failed(verdict.IntrospectionLimited, time.Second, errTooOften)
	}
	if wait == 0 {
		wait = q.breaker.Wait(breakerLimits, now)
	}
	if wait > 0 {
		q.metrics.Paused.Inc()
		return nil, nil, q.failed(verdict.IntrospectionUnavailable, wait, errPaused)
	}
	shared := &sharedCall{done: make(chan struct{})}
	q.calls[what.Digest] = shared
	go q.call(shared, what)
	return shared, nil, nil
}

// call makes the call. What it brings is remembered before the call ends, so
// that there is no second one in between.
func (q *Introspector) call(shared *sharedCall, what Request) {
	ctx, cancel := context.WithTimeout(q.ctx, callWithin)
	defer cancel()
	began := time.Now()
	answer, doc, err := q.server.Introspect(ctx, q.at, secret.New(what.Token))
	now := what.Now()
	if err == nil {
		shared.result = q.read(answer, doc, what, now)
	} else {
		failure := q.failed(verdict.IntrospectionUnavailable, min(retryAfterOf(err), breakerLimits.Most), err)
		failure.Told = as.Unreadable(err) && q.unread.again(err.Error(), now)
		shared.err = failure
	}
	q.account(shared, err, now, time.Since(began))
	q.mu.Lock()
	q.keep(what.Digest, shared.result, now)
	delete(q.calls, what.Digest)
	q.mu.Unlock()
	close(shared.done)
}

// read judges an answer.
func (q *Introspector) read(answer *token.Answer, doc string, what Request, now time.Time) *Result {
	said := &Result{Until: now.Add(q.remember).UnixNano()}
	switch {
	case what.JWT == nil:
		said.Facts, said.Refusal = q.profile.Read(answer)
		said.Answer = doc
	case q.Completes:
		said.Facts, said.Refusal = q.profile.Complete(what.JWT, what.Claims, answer)
		said.Answer = doc
	default:
		said.Facts, said.Refusal = q.profile.Confirm(what.JWT, answer)
	}
	if said.Refusal != nil {
		if said.Facts == nil {
			said.Answer = ""
		}
		said.Until = now.Add(min(q.remember, inactiveFor)).UnixNano()
		return said
	}
	// Never beyond the expiry: from then on it is the issuer's to say.
	if expiry := time.Unix(said.Facts.Expiry, 0); expiry.Before(now.Add(q.remember)) {
		said.Until = expiry.UnixNano()
	}
	return said
}

// keep remembers what was said; failures say nothing. Of facts whose time is
// over nothing is kept: they would only be asked for again.
func (q *Introspector) keep(key token.Digest, said *Result, now time.Time) {
	if said == nil {
		return
	}
	q.limits.learn(key, said.Facts != nil)
	switch {
	case now.UnixNano() >= said.Until:
	case said.Refusal != nil:
		q.inactive.Set(key, said)
	default:
		said.Facts.Decoded = new(token.Decoded)
		q.active.Set(key, said)
	}
}

// account counts a call, for the breaker and the metrics.
func (q *Introspector) account(shared *sharedCall, err error, now time.Time, took time.Duration) {
	q.metrics.Duration.Observe(took.Seconds())
	switch {
	case err != nil:
		q.metrics.Failed.Inc()
	case shared.result.Refusal != nil:
		q.metrics.Inactive.Inc()
	default:
		q.metrics.Active.Inc()
	}
	_, called := errors.AsType[*as.CallError](err)
	if err != nil && !called {
		return // there was no call
	}
	q.breaker.Report(breakerLimits, now, q.endpointFailed(err, now), retryAfterOf(err))
}

// retryAfterOf is what the endpoint asked for, or zero.
func retryAfterOf(err error) time.Duration {
	if failed, ok := errors.AsType[*as.CallError](err); ok {
		return failed.RetryAfter
	}
	return 0
}

// failed is why there is no answer about a token, and when to come again.
func (q *Introspector) failed(reason string, after time.Duration, err error) *verdict.Failure {
	return &verdict.Failure{Reason: reason, Issuer: q.issuer, Wait: after, Err: err}
}

// Consult answers what would be said of a token, for people who ask why: what is
// remembered, or else a call beside all limits. It changes nothing here.
func (q *Introspector) Consult(ctx context.Context, what Request) (said *Result, remembered bool, err error) {
	now := what.Now()
	if said := q.Recall(what.Digest, now); said != nil {
		return said, true, nil
	}
	if left := q.breaker.Open(now); left > 0 {
		return nil, false, q.failed(verdict.IntrospectionUnavailable, left, errPaused)
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	answer, doc, err := q.server.Introspect(ctx, q.at, secret.New(what.Token))
	if err != nil {
		return nil, false, q.failed(verdict.IntrospectionUnavailable, 0, err)
	}
	return q.read(answer, doc, what, now), false, nil
}

// MayAsk keeps from an issuer what is not its own to see: what no token looks
// like, and the gateway's own tokens.
func MayAsk(raw string) error {
	switch {
	case !credential.IsToken68(raw):
		return verdict.OfToken(&token.Refusal{Reason: token.Malformed, Detail: "characters that no Bearer token has (RFC 6750 §2.1)"}, "")
	case isOwn(raw):
		return verdict.OfToken(&token.Refusal{Reason: token.NotJWT, Detail: "a token of a gateway, and no grants are kept here"}, "")
	}
	return nil
}

// isOwn reports whether a text begins as the gateway's own tokens do.
func isOwn(raw string) bool {
	return strings.HasPrefix(raw, credential.AccessPrefix) || strings.HasPrefix(raw, credential.RefreshPrefix) || strings.HasPrefix(raw, credential.SessionPrefix)
}
