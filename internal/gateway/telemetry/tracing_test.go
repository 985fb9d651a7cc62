package telemetry

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// lateKeys are there after a while, or never.
type lateKeys struct {
	token.KeySource
	err error
}

func (l lateKeys) Keys(context.Context) (*token.KeySet, error) {
	<-time.After(5 * time.Millisecond)
	return nil, l.err
}

func (l lateKeys) Newer(context.Context, *token.KeySet) (*token.KeySet, error) { return nil, l.err }

func TestASpanIsMadeOfAWaitForKeys(t *testing.T) { synctest.Test(t, spansOfKeys) }

func spansOfKeys(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	ctx, span := provider.Tracer("caddy").Start(t.Context(), "request")
	down := errors.New("https://login.example.com is down")
	_, _ = TraceKeys(lateKeys{}).Keys(ctx)
	_, _ = TraceKeys(lateKeys{}).Newer(ctx, nil) // at once
	_, err := TraceKeys(lateKeys{err: down}).Newer(ctx, nil)
	span.End()
	spans := recorder.Ended()
	if len(spans) != 3 || spans[0].Name() != "oauth.wait_for_keys" || spans[1].Status().Description != "see the log" || !errors.Is(err, down) {
		t.Errorf("%v %v", spans, err)
	}
	if _, err := TraceKeys(lateKeys{err: down}).Keys(t.Context()); !errors.Is(err, down) {
		t.Error("without a trace:", err)
	}
}
