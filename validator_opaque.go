package caddyoauth

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// introspect proves an opaque token: what was said of it not long ago counts,
// else its issuer is asked.
func (v *Validator) introspect(ctx context.Context, raw string, key token.Digest, from sender) (*token.Principal, error) {
	asked, err := v.whoToAsk(raw, from)
	if err != nil {
		return nil, err
	}
	t, said, err := v.answerOf(ctx, asked, introspection.Request{Token: raw, Digest: key, Remote: from.address(), Now: v.Now})
	if err != nil {
		return nil, err
	}
	if err := judgeAnswer(t, said, v.Now(), from); err != nil {
		return nil, err
	}
	return t.Profile.Principal(t, said.Facts, raw, nil).Told(said.Answer), nil
}

// whoToAsk are the issuers that may know an opaque token. That of a grant is of
// the grant's issuer, whatever another would say of the same text.
func (v *Validator) whoToAsk(raw string, from sender) ([]*issuers.Trust, error) {
	asked := v.ForOpaque(raw)
	switch {
	case from.Issuer != "":
		if t := v.Named(from.Issuer); t != nil && t.Introspector != nil {
			return []*issuers.Trust{t}, nil
		}
		return nil, verdict.OfToken(&token.Refusal{Reason: token.NotJWT, Detail: fmt.Sprintf("an opaque token of %s, which is not asked about tokens", from.Issuer)}, from.Issuer)
	case len(asked) == 0:
		return nil, verdict.OfToken(&token.Refusal{Reason: token.NotJWT, Detail: "an opaque token that has none of the prefixes that are asked about (token_prefix)"}, "")
	}
	return asked, nil
}

// answerOf is what an issuer says of an opaque token, and which one it is. What was
// said of it not long ago counts. Else the issuers are asked one after the other,
// until one takes the token for its own. Where none does, and one gave no answer,
// nothing can be said of the token.
func (v *Validator) answerOf(ctx context.Context, asked []*issuers.Trust, what introspection.Request) (t *issuers.Trust, said *introspection.Result, err error) {
	now := v.Now()
	for _, t := range asked {
		if said := t.Introspector.Recall(what.Digest, now); said != nil && said.Knows() {
			t.Metrics.Recalled(said.Refusal != nil)
			return t, said, nil
		}
	}
	var failed error
	for _, t = range knowingFirst(asked, what.Digest) {
		said, err = ask(ctx, t, what)
		if err == nil && said.Knows() {
			return t, said, nil
		}
		if failed == nil {
			failed = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	if failed == nil && len(asked) > 1 {
		return nil, nil, verdict.OfToken(&token.Refusal{Reason: token.Inactive, Detail: fmt.Sprintf("none of the %d issuers that were asked calls it active", len(asked))}, "")
	}
	return t, said, failed
}

// knowingFirst has the issuer asked first that called the token active before.
func knowingFirst(asked []*issuers.Trust, key token.Digest) []*issuers.Trust {
	for i, t := range asked {
		if i > 0 && t.Introspector.Knew(key) {
			return slices.Concat([]*issuers.Trust{t}, asked[:i], asked[i+1:])
		}
	}
	return asked
}

// ask is what one issuer says of an opaque token, now or not long ago.
func ask(ctx context.Context, t *issuers.Trust, what introspection.Request) (*introspection.Result, error) {
	if said := t.Introspector.Recall(what.Digest, what.Now()); said != nil {
		t.Metrics.Recalled(said.Refusal != nil)
		return said, nil
	}
	if err := introspection.MayAsk(what.Token); err != nil {
		return nil, err
	}
	t.Metrics.Misses.Inc()
	waited := telemetry.TraceWait(ctx, telemetry.SpanAsk)
	said, err := t.Introspector.Ask(ctx, what)
	waited(err)
	return said, err
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
