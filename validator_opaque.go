package caddyoauth

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// introspect proves an opaque token: what was said of it not long ago counts,
// else the issuer is asked.
func (v *Validator) introspect(ctx context.Context, raw string, key token.Digest, now time.Time, from sender) (*token.Principal, error) {
	t := v.ForOpaque()
	if from.Issuer != "" && from.Issuer != t.Profile.Issuer { // whatever was said of the same text
		return nil, verdict.OfToken(&token.Refusal{Reason: token.NotJWT, Detail: fmt.Sprintf("an opaque token of %s, which is not asked about tokens", from.Issuer)}, from.Issuer)
	}
	said := t.Introspector.Recall(key, now)
	if said != nil {
		t.Metrics.Recalled(said.Refusal != nil)
	} else {
		if err := introspection.MayAsk(raw); err != nil {
			return nil, err
		}
		t.Metrics.Misses.Inc()
		waited := telemetry.TraceWait(ctx, telemetry.SpanAsk)
		var err error
		said, err = t.Introspector.Ask(ctx, introspection.Request{Token: raw, Digest: key, Remote: from.address(), Now: v.Now})
		if waited(err); err != nil {
			return nil, err
		}
		now = v.Now()
	}
	if err := judgeAnswer(t, said, now, from); err != nil {
		return nil, err
	}
	return t.Profile.Principal(t, said.Facts, raw, nil).Told(said.Answer), nil
}

// confirm asks the issuer about a JWT that was verified.
func (v *Validator) confirm(ctx context.Context, t *issuers.Trust, what introspection.Request, from sender) (*introspection.Result, error) {
	said := t.Introspector.Recall(what.Digest, what.Now())
	if said != nil && said.Refusal == nil && said.Facts.Key.Retired() {
		t.Introspector.Forget(what.Digest) // it is said anew, under the key that verified it now
		said = nil
	}
	if said != nil {
		t.Metrics.Recalled(said.Refusal != nil)
	} else {
		waited := telemetry.TraceWait(ctx, telemetry.SpanAsk)
		var err error
		said, err = t.Introspector.Ask(ctx, what)
		if waited(err); err != nil {
			return nil, err
		}
	}
	return said, judgeAnswer(t, said, v.Now(), from)
}

// judgeAnswer judges what an issuer said of a token that a request, or a log-in of
// the gateway's own, brings.
func judgeAnswer(t *issuers.Trust, said *introspection.Result, now time.Time, from sender) error {
	if said.Refusal != nil && (said.Facts == nil || !from.LogIn) {
		return verdict.OfToken(said.Refusal, t.Profile.Issuer)
	}
	_, err := t.ProfileFor(from.LogIn).Judge(said.Facts, now)
	return verdict.OfToken(err, t.Profile.Issuer)
}
