package caddyoauth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// traced serves a request under a span, as Caddy's tracing handler does, and
// answers the spans that came of it, the request's own last.
func (g *gate) traced(tok string) []sdktrace.ReadOnlySpan {
	g.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	ctx, span := provider.Tracer("caddy").Start(context.Background(), "request")
	raw := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	raw.Header.Set("Authorization", "Bearer "+tok)
	res := httptest.NewRecorder()
	r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), res, g.server)
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	if err := g.ServeHTTP(res, r, next); err != nil {
		g.Error(err)
	}
	span.End()
	return recorder.Ended()
}

func attributeOf(span sdktrace.ReadOnlySpan, key string) string {
	for _, one := range span.Attributes() {
		if string(one.Key) == key {
			return one.Value.AsString()
		}
	}
	return ""
}

func TestASpanIsMadeOfAWaitForARenewalAndOfNothingElse(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	tok := g.token("orders").AccessToken
	g.wants(map[string]int{tok: 200})
	// On a machine that is busy anything may take long enough to be a wait, but
	// not each time.
	var spans []sdktrace.ReadOnlySpan
	await(t, "a request that waits for nothing", func() bool {
		spans = g.traced(tok)
		return len(spans) == 1
	})
	if attributeOf(spans[0], "oauth.reason") != "accepted" || attributeOf(spans[0], "oauth.issuer") != issuer.URL {
		t.Errorf("of a request that waits for nothing: %v", spans)
	}
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		<-time.After(20 * time.Millisecond) // the wait that is to be seen
		issuer.grant(w, q)
	})
	await(t, "a request that waits for a renewal alone", func() bool {
		g.skip(accessLife)
		spans = g.traced(tok)
		return len(spans) == 2
	})
	if spans[0].Name() != "oauth.wait_for_grant" || spans[0].Parent().SpanID() != spans[1].SpanContext().SpanID() {
		t.Fatalf("of a request that waits for a renewal: %v", spans)
	}
	if took := spans[0].EndTime().Sub(spans[0].StartTime()); took < 20*time.Millisecond {
		t.Errorf("the wait is told as %s", took)
	}
	spans = g.traced("x")
	if last := spans[len(spans)-1]; attributeOf(last, "oauth.reason") == "accepted" {
		t.Errorf("of a refused request: %v", last.Attributes())
	}
}
