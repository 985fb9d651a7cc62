package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// The spans below that of Caddy's tracing handler, and what is noted on that
// one. A request that waits for nothing has none of its own.
const (
	spanKeys  = "oauth.wait_for_keys"
	SpanGrant = "oauth.wait_for_grant"
	SpanAsk   = "oauth.wait_for_introspection"

	SpanUserInfo = "oauth.wait_for_userinfo"

	spanLeast = time.Millisecond // what is shorter was no wait

	attrReason = attribute.Key("oauth.reason")
	attrIssuer = attribute.Key("oauth.issuer")
)

// TraceWait makes a span of what happens until the function it answers is
// called, if it took long enough to be a wait, or failed. Without a trace in
// ctx it costs one look.
func TraceWait(ctx context.Context, name string) (end func(error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return func(error) {}
	}
	began := time.Now()
	return func(err error) {
		ended := time.Now()
		if ended.Sub(began) < spanLeast && err == nil {
			return
		}
		_, span := parent.TracerProvider().Tracer("github.com/caddyoauth/caddyoauth").
			Start(ctx, name, trace.WithTimestamp(began))
		if err != nil {
			span.SetStatus(codes.Error, reasonless)
		}
		span.End(trace.WithTimestamp(ended))
	}
}

// reasonless is what a span says of an error: traces go to many hands, and the
// log line has the rest.
const reasonless = "see the log"

// TraceVerdict notes on Caddy's span what became of the request.
func TraceVerdict(ctx context.Context, reason, issuer string) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(attrReason.String(reason), attrIssuer.String(issuer))
	}
}

// TraceKeys is a source of keys that makes spans of waiting for them.
func TraceKeys(source token.KeySource) token.KeySource { return tracedKeys{source} }

type tracedKeys struct{ token.KeySource }

func (k tracedKeys) Keys(ctx context.Context) (*token.KeySet, error) {
	end := TraceWait(ctx, spanKeys)
	set, err := k.KeySource.Keys(ctx)
	end(err)
	return set, err
}

func (k tracedKeys) Newer(ctx context.Context, set *token.KeySet) (*token.KeySet, error) {
	end := TraceWait(ctx, spanKeys)
	newer, err := k.KeySource.Newer(ctx, set)
	end(err)
	return newer, err
}
