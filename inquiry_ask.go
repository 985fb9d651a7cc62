package caddyoauth

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

// question is what an issuer is asked: about one token.
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
	flight, said, err := q.join(what)
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

// join finds the call about a token that is under way, or begins one. It
// answers no call where the token is remembered by now, or may not be asked about.
func (q *inquiry) join(what question) (*inquiryFlight, *opinion, error) {
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
		q.metrics.Limited.Inc()
		return nil, nil, q.failed(verdict.IntrospectionLimited, time.Second, errAskTooOften)
	}
	if wait == 0 {
		wait = q.breaker.Wait(askBreaks, now)
	}
	if wait > 0 {
		q.metrics.Paused.Inc()
		return nil, nil, q.failed(verdict.IntrospectionUnavailable, wait, errAskPaused)
	}
	flight := &inquiryFlight{done: make(chan struct{})}
	q.flights[what.key] = flight
	go q.call(flight, what)
	return flight, nil, nil
}

// call makes the call. What it brings is remembered before the call ends, so
// that there is no second one in between.
func (q *inquiry) call(flight *inquiryFlight, what question) {
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

// read judges an answer.
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

// keep remembers what was said; failures say nothing. Of facts whose time is
// over nothing is kept: they would only be asked for again.
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

// account counts a call, for the breaker and the metrics.
func (q *inquiry) account(flight *inquiryFlight, err error, now time.Time, took time.Duration) {
	q.metrics.Duration.Observe(took.Seconds())
	switch {
	case err != nil:
		q.metrics.Failed.Inc()
	case flight.opinion.refusal != nil:
		q.metrics.Inactive.Inc()
	default:
		q.metrics.Active.Inc()
	}
	_, called := errors.AsType[*as.CallError](err)
	if err != nil && !called {
		return // there was no call
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

// failed is why there is no answer about a token, and when to come again.
func (q *inquiry) failed(reason string, after time.Duration, err error) error {
	return &verdict.Failure{Reason: reason, Issuer: q.issuer, Wait: after, Err: err}
}

// consult answers what would be said of a token, for people who ask why: what is
// remembered, or else a call beside all limits. It changes nothing here.
func (q *inquiry) consult(ctx context.Context, what question) (said *opinion, remembered bool, err error) {
	now := what.clock()
	if said := q.recall(what.key, now); said != nil {
		return said, true, nil
	}
	if left := q.breaker.Open(now); left > 0 {
		return nil, false, q.failed(verdict.IntrospectionUnavailable, left, errAskPaused)
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	answer, doc, err := q.server.Introspect(ctx, q.at, secret.New(what.raw))
	if err != nil {
		return nil, false, q.failed(verdict.IntrospectionUnavailable, 0, err)
	}
	return q.read(answer, doc, what, now), false, nil
}

// mayAsk keeps from an issuer what is not its own to see: what no token looks
// like, and the gateway's own tokens.
func mayAsk(raw string) error {
	switch {
	case !credential.IsToken68(raw):
		return verdict.OfToken(&token.Refusal{Reason: token.Malformed, Detail: "characters that no Bearer token has (RFC 6750 §2.1)"}, "")
	case strings.HasPrefix(raw, credential.AccessPrefix) || strings.HasPrefix(raw, credential.RefreshPrefix) || strings.HasPrefix(raw, credential.SessionPrefix):
		return verdict.OfToken(&token.Refusal{Reason: token.NotJWT, Detail: "a token of a gateway, and no grants are kept here"}, "")
	}
	return nil
}
