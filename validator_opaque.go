package caddyoauth

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
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
	said := t.introspector.Recall(key, now)
	if said != nil {
		t.metrics.Recalled(said.Refusal != nil)
	} else {
		if err := introspection.MayAsk(raw); err != nil {
			return nil, err
		}
		t.metrics.Misses.Inc()
		waited := telemetry.TraceWait(ctx, telemetry.SpanAsk)
		var err error
		said, err = t.introspector.Ask(ctx, introspection.Request{Token: raw, Digest: key, Remote: from.address(), Now: v.now})
		if waited(err); err != nil {
			return nil, err
		}
		now = v.now()
	}
	if said.Refusal != nil {
		return nil, verdict.OfToken(said.Refusal, t.profile.Issuer)
	}
	if _, err := t.profile.Judge(said.Facts, now); err != nil {
		return nil, verdict.OfToken(err, t.profile.Issuer)
	}
	return t.profile.Principal(t, said.Facts, raw, nil).Told(said.Answer), nil
}

// confirm asks the issuer about a JWT that was verified.
func (v *Validator) confirm(ctx context.Context, t *trust, what introspection.Request) (*token.Facts, error) {
	said := t.introspector.Recall(what.Digest, what.Now())
	if said != nil && said.Refusal == nil && said.Facts.Key.Retired() {
		t.introspector.Forget(what.Digest) // it is said anew, under the key that verified it now
		said = nil
	}
	if said != nil {
		t.metrics.Recalled(said.Refusal != nil)
	} else {
		waited := telemetry.TraceWait(ctx, telemetry.SpanAsk)
		var err error
		said, err = t.introspector.Ask(ctx, what)
		if waited(err); err != nil {
			return nil, err
		}
	}
	if said.Refusal != nil {
		return nil, verdict.OfToken(said.Refusal, t.profile.Issuer)
	}
	if _, err := t.profile.Judge(said.Facts, v.now()); err != nil {
		return nil, verdict.OfToken(err, t.profile.Issuer)
	}
	return said.Facts, nil
}
