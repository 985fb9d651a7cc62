package signals

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/secevent"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// rememberDone is how long all nodes know that an event was done. Later it would
// take back again what was taken back then, and nothing more: it has its moment.
const rememberDone = 24 * time.Hour

// What becomes of an event, for the metric.
const (
	outcomeRevoked   = "revoked"
	outcomeRenewed   = "renewed"
	outcomeNoted     = "noted"
	outcomeUnmatched = "unmatched" // its subject is nothing that tokens name
	outcomeAgain     = "again"     // it was done before
	outcomeRefused   = "refused"
	outcomeFailed    = "failed"
)

// Take does what a Security Event Token says. nil: it is done, here or on another
// node, and the transmitter may forget it. A [*token.Refusal] is a verdict on the
// token; any other error is a failure, and the transmitter is to send it again.
func (r *Receiver) Take(ctx context.Context, raw string) error {
	ctx = context.WithoutCancel(ctx) // half of it done is not done
	set, err := r.read(ctx, raw)
	if err != nil {
		r.count("", outcomeOf(err))
		return err
	}
	r.heard.Store(r.now().UnixNano())
	event := &set.Events[0]
	name := nameOf(event)
	done, err := r.did(ctx, set.ID)
	if err == nil && done {
		r.count(name, outcomeAgain)
		return nil
	}
	outcome := outcomeFailed
	if err == nil {
		outcome, err = r.do(ctx, set, event)
	}
	if err == nil {
		err = r.remember(ctx, set.ID)
	}
	if err != nil {
		outcome = outcomeFailed
	}
	r.count(name, outcome)
	r.tell(set, event, outcome, err)
	return err
}

func (r *Receiver) read(ctx context.Context, raw string) (*secevent.Set, error) {
	claims, err := r.proof.VerifyEvents(ctx, raw, r.now())
	if err != nil {
		return nil, err
	}
	return secevent.Read(claims)
}

func outcomeOf(err error) string {
	if token.ReasonOf(err) != "" {
		return outcomeRefused
	}
	return outcomeFailed
}

// nameOf is an event's name for metrics: one of a known set.
func nameOf(e *secevent.Event) string {
	if e.Effect() == secevent.Ignore {
		return "other"
	}
	return secevent.Name(e.Type)
}

func (r *Receiver) count(event, outcome string) {
	telemetry.Metrics.Signal(r.issuer, event, outcome)
}

// did reports whether an event was done, on any node.
func (r *Receiver) did(ctx context.Context, id string) (bool, error) {
	if r.seen.has(id) {
		return true, nil
	}
	if m := r.memory(); m != nil {
		return m.Happened(ctx, r.proof.Issuer, id)
	}
	return false, nil
}

func (r *Receiver) remember(ctx context.Context, id string) error {
	if m := r.memory(); m != nil {
		if _, err := m.Once(ctx, r.now().Add(rememberDone), r.proof.Issuer, id); err != nil {
			return err
		}
	}
	r.seen.add(id)
	return nil
}

// effect is what an event does here.
func (r *Receiver) effect(e *secevent.Event) secevent.Effect {
	if set, is := r.effects[secevent.Name(e.Type)]; is {
		return set
	}
	return e.Effect()
}

func (r *Receiver) do(ctx context.Context, set *secevent.Set, e *secevent.Event) (outcome string, err error) {
	if e.Type == secevent.StreamUpdated {
		r.state.Store(new(e.Text("status")))
	}
	effect := r.effect(e)
	if effect < secevent.Renew {
		return outcomeNoted, nil
	}
	targets := r.mapping.targets(&set.About)
	if len(targets) == 0 {
		return outcomeUnmatched, nil
	}
	outcome = outcomeRenewed
	if effect == secevent.Revoke {
		outcome = outcomeRevoked
	}
	var failures []error
	for _, target := range targets {
		target.Source, target.Reason = revoked.ByEvent, secevent.Name(e.Type)
		target.Added = r.now()
		target.Before = wholeSecond(set.Before(e))
		failures = append(failures, r.takeBack(ctx, target, effect))
	}
	return outcome, errors.Join(failures...)
}

// wholeSecond is the end of a moment's second: transmitters write seconds, and a
// grant knows better when it began.
func wholeSecond(at time.Time) time.Time {
	return at.Truncate(time.Second).Add(time.Second - time.Millisecond)
}

// takeBack has every site do it.
func (r *Receiver) takeBack(ctx context.Context, e revoked.Entry, effect secevent.Effect) error {
	sites := r.attached()
	if len(sites) == 0 {
		return errors.New("no site of this issuer is in force yet")
	}
	of := e
	switch {
	case effect == secevent.Renew:
		of.Issuer = revoked.Renewed(e.Issuer)
		// One that was issued in the same second may be the new one.
		of.Before = e.Before.Truncate(time.Second).Add(-time.Millisecond)
	case e.Session != "" || e.ID != "":
		of.Before = time.Time{} // it does not come back
	}
	var failures []error
	for _, s := range sites {
		if err := s.TakeBack(ctx, of); err != nil {
			failures = append(failures, err)
			continue
		}
		if effect != secevent.Revoke || s.End == nil || e.ID != "" {
			continue
		}
		ended, err := s.End(ctx, of)
		if ended > 0 {
			s.Log.Info("a transmitter's event has ended grants", zap.String("issuer", r.issuer), zap.String("event", e.Reason), zap.Int("grants", ended))
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// tell logs what has become of an event. Whom it is about stays out of the log.
func (r *Receiver) tell(set *secevent.Set, e *secevent.Event, outcome string, err error) {
	log := r.log().With(zap.String("event", telemetry.Bounded(secevent.Name(e.Type))), zap.String("jti", telemetry.Bounded(set.ID)), zap.Stringer("subject", &set.About),
		telemetry.Known("why", e.Why()), telemetry.Known("txn", set.Cause))
	switch {
	case err != nil:
		log.Error("a transmitter's event was not done; it will send it again", zap.Error(err))
	case e.Type == secevent.Verification:
		log.Debug("the transmitter has verified the stream")
	case e.Type == secevent.StreamUpdated:
		log.Warn("the transmitter has changed the stream", zap.String("status", e.Text("status")), telemetry.Known("reason", e.Text("reason")))
	case outcome == outcomeUnmatched:
		log.Warn("a transmitter's event names nothing that tokens of this issuer name; it is acknowledged, and takes nothing back",
			zap.String("do", "where a claim of the tokens has it, write match <format> <claim> in the signals block"))
	case outcome == outcomeNoted:
		log.Info("a transmitter has told of an event")
	default:
		log.Info("a transmitter's event was done", zap.String("outcome", outcome))
	}
}
