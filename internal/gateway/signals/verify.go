package signals

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// silentFor is after what time without an event the transmitter counts as silent.
func (r *Receiver) silentFor() time.Duration { return mostMissed * r.block.verify() }

// since is when the transmitter was heard of last, or else when it could first be.
func (r *Receiver) since() time.Time {
	return time.Unix(0, max(r.heard.Load(), r.began.Load()))
}

// watched reports whether silence means anything: verifications are asked for, or
// else answers to polls come without events too.
func (r *Receiver) watched() bool {
	return r.access.can() && (r.block.Poll || r.verifies())
}

// verifies reports whether the transmitter can be asked for verifications, or may be:
// its metadata are not known yet.
func (r *Receiver) verifies() bool {
	ends, known := r.server.KnownEndpoints()
	return !known || ends.Signals.Verification != ""
}

// silent reports whether three verifications did not come.
func (r *Receiver) silent(now time.Time) bool {
	return now.Sub(r.since()) > r.silentFor() && r.watched()
}

// Heard is nil, or the failure of a transmitter that is silent where that counts. A
// nil Receiver hears nothing, and needs nothing.
func (r *Receiver) Heard(now time.Time) error {
	if r == nil || r.block.Silent != refuse || !r.silent(now) {
		return nil
	}
	return &verdict.Failure{
		Reason: verdict.SignalsSilent, Issuer: r.issuer, Wait: 10 * time.Second,
		Err: fmt.Errorf("the transmitter %s has not been heard of for %s: what it has taken back meanwhile is not known", r.proof.Issuer, now.Sub(r.since()).Round(time.Second)),
	}
}

// The names that nodes know each other's doings by.
const (
	memoryHeard = "heard"
	memoryAsked = "asked"
)

// slot is the interval that a moment is in: the same on every node.
func (r *Receiver) slot(at time.Time) int64 { return at.Unix() / int64(r.block.verify()/time.Second) }

// verifyAgain asks for a verification event in each interval, on one node of all,
// and shares what was heard: the answer reaches one of them.
func (r *Receiver) verifyAgain() {
	step := max(r.block.verify()/10, time.Second)
	var was bool
	var told int64
	for r.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(r.ctx, askWithin)
		if heard := r.heard.Load(); heard > told && r.shareHeard(ctx, heard) == nil {
			told = heard
		}
		if now := r.now(); r.slot(now) > r.slot(time.Unix(0, r.asked.Load())) && r.watched() {
			r.verifyNow(ctx, now)
		}
		if r.silent(r.now()) {
			r.askOthers(ctx)
		}
		cancel()
		if is := r.silent(r.now()); is != was {
			was = is
			r.tellSilence(is)
		}
		r.sleep(step)
	}
}

func (r *Receiver) tellSilence(silent bool) {
	if !silent {
		r.log().Info("the transmitter is heard of again")
		return
	}
	means := "the issuer's tokens are taken all the same (silent keep)"
	if r.block.Silent == refuse {
		means = "the issuer's tokens are answered with 503 (silent refuse)"
	}
	var why error
	if fault := r.fault.Load(); fault != nil {
		why = *fault
	}
	r.log().Error("the transmitter is silent: three verifications did not come; what it has taken back meanwhile is not known", zap.Time("since", r.since()), zap.String("means", means), zap.NamedError("error", why),
		zap.String("do", "look at the stream: caddy oauth signals"))
}

// shareHeard tells the other nodes, once in an interval.
func (r *Receiver) shareHeard(ctx context.Context, heard int64) error {
	m := r.memory()
	if m == nil {
		return nil
	}
	at := time.Unix(0, heard)
	_, err := m.Once(ctx, at.Add(2*r.silentFor()), memoryHeard, r.proof.Issuer, r.issuer, strconv.FormatInt(r.slot(at), 10))
	return err
}

// askOthers looks whether another node has heard of the transmitter.
func (r *Receiver) askOthers(ctx context.Context) {
	m := r.memory()
	if m == nil {
		return
	}
	now := r.now()
	for back := range int64(mostMissed) {
		slot := r.slot(now) - back
		if was, err := m.Happened(ctx, memoryHeard, r.proof.Issuer, r.issuer, strconv.FormatInt(slot, 10)); err == nil && was {
			heard := time.Unix(slot*int64(r.block.verify()/time.Second), 0).UnixNano()
			for old := r.heard.Load(); old < heard && !r.heard.CompareAndSwap(old, heard); old = r.heard.Load() {
			}
			return
		}
	}
}

// verifyNow asks for a verification event, unless another node has in this interval.
func (r *Receiver) verifyNow(ctx context.Context, now time.Time) {
	slot := strconv.FormatInt(r.slot(now), 10)
	if m := r.memory(); m != nil {
		first, err := m.Once(ctx, now.Add(2*r.block.verify()), memoryAsked, r.proof.Issuer, r.issuer, slot)
		if err == nil && !first {
			r.asked.Store(now.UnixNano())
			return
		}
	}
	switch err := r.verifyStream(ctx); {
	case err == nil:
		r.asked.Store(now.UnixNano())
		r.fault.Store(nil)
	case errors.Is(err, errNoEndpoint): // it would not come, however often
		r.asked.Store(now.UnixNano())
		r.fault.Store(&err)
	case r.ctx.Err() == nil:
		if old := r.fault.Swap(&err); old == nil {
			r.log().Warn("asking the transmitter for a verification failed; it is asked again", zap.Error(err), zap.String("do", cureOf(err)))
		}
		if m := r.memory(); m != nil {
			_ = m.Forget(ctx, memoryAsked, r.proof.Issuer, r.issuer, slot) // else no node would ask in this interval
		}
	}
}

// verifyStream asks for a verification event (SSF §8.1.4.2).
func (r *Receiver) verifyStream(ctx context.Context) error {
	ends, err := r.server.Endpoints(ctx)
	if err != nil {
		return err
	}
	if ends.Signals.Verification == "" {
		return fmt.Errorf("verification_endpoint: %w", errNoEndpoint)
	}
	id := r.set.Stream
	if id == "" {
		stream, err := r.stream(ctx)
		if err != nil {
			return err
		}
		id = stream.ID
	}
	_, err = r.ask(ctx, as.SignalsCall{
		Method: http.MethodPost, Address: ends.Signals.Verification, Body: map[string]string{"stream_id": id, "state": rand.Text()},
	})
	if failed, ok := errors.AsType[*as.CallError](err); ok && failed.Status == http.StatusTooManyRequests {
		return nil // another has just asked
	}
	if err != nil {
		return fmt.Errorf("asking for a verification: %w", err)
	}
	return nil
}
