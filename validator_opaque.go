package caddyoauth

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// introspect proves an opaque token: what was said of it not long ago counts,
// else the issuer is asked.
func (v *Validator) introspect(ctx context.Context, raw string, key token.Digest, now time.Time, from sender) (*token.Principal, error) {
	t := v.forOpaque()
	if from.issuer != "" && from.issuer != t.profile.Issuer { // whatever was said of the same text
		return nil, verdict.OfToken(&token.Refusal{Reason: token.NotJWT, Detail: fmt.Sprintf("an opaque token of %s, which is not asked about tokens", from.issuer)}, from.issuer)
	}
	said := t.inquiry.recall(key, now)
	if said != nil {
		t.metrics.Recalled(said.refusal != nil)
	} else {
		if err := mayAsk(raw); err != nil {
			return nil, err
		}
		t.metrics.Misses.Inc()
		waited := telemetry.TraceWait(ctx, telemetry.SpanAsk)
		var err error
		said, err = t.inquiry.ask(ctx, question{raw: raw, key: key, remote: from.address(), clock: v.now})
		if waited(err); err != nil {
			return nil, err
		}
		now = v.now()
	}
	if said.refusal != nil {
		return nil, verdict.OfToken(said.refusal, t.profile.Issuer)
	}
	if _, err := t.profile.Judge(said.facts, now); err != nil {
		return nil, verdict.OfToken(err, t.profile.Issuer)
	}
	return t.profile.Principal(t, said.facts, raw, nil).Told(said.answer), nil
}

// confirm asks the issuer about a JWT that was verified.
func (v *Validator) confirm(ctx context.Context, t *trust, what question) (*token.Facts, error) {
	said := t.inquiry.recall(what.key, what.clock())
	if said != nil && said.refusal == nil && said.facts.Key.Retired() {
		t.inquiry.forget(what.key) // it is said anew, under the key that verified it now
		said = nil
	}
	if said != nil {
		t.metrics.Recalled(said.refusal != nil)
	} else {
		waited := telemetry.TraceWait(ctx, telemetry.SpanAsk)
		var err error
		said, err = t.inquiry.ask(ctx, what)
		if waited(err); err != nil {
			return nil, err
		}
	}
	if said.refusal != nil {
		return nil, verdict.OfToken(said.refusal, t.profile.Issuer)
	}
	if _, err := t.profile.Judge(said.facts, v.now()); err != nil {
		return nil, verdict.OfToken(err, t.profile.Issuer)
	}
	return said.facts, nil
}
