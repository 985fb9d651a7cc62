package telemetry

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/gatewaytest"
)

// slowHandler takes its time until it is released.
type slowHandler struct {
	began   chan struct{} // gets one for each event
	release chan struct{}
	mu      sync.Mutex
	names   []string
}

func (s *slowHandler) Handle(_ context.Context, e caddy.Event) error {
	s.began <- struct{}{}
	<-s.release
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = append(s.names, fmt.Sprint(e.Data["n"]))
	return nil
}

func TestASlowEventHandlerHoldsNoSenderUpAndHearsInOrder(t *testing.T) {
	ctx := gatewaytest.Context(t)
	h := NewEvents(ctx, zap.NewNop())
	told := make(chan struct{})
	slow := &slowHandler{began: make(chan struct{}, 2*mostQueued), release: make(chan struct{})}
	if err := h.app.On(eventIssuerUp, slow); err != nil {
		t.Fatal(err)
	}
	tell := func(n int) { h.emit(eventIssuerUp, map[string]any{"n": n}) }
	go func() {
		tell(0)
		<-slow.began // so it waits in no queue any more
		for n := range 3 * mostQueued {
			tell(n + 1)
		}
		close(told)
	}()
	gatewaytest.Await(t, "all to be told while the handler takes its time", func() bool {
		select {
		case <-told:
			return true
		default:
			return false
		}
	})
	close(slow.release)
	gatewaytest.Await(t, "what is queued to be told", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return !h.running
	})
	slow.mu.Lock()
	defer slow.mu.Unlock()
	if len(slow.names) != 1+mostQueued {
		t.Errorf("%d were heard, want one and a full queue", len(slow.names))
	}
	for n, name := range slow.names {
		if name != fmt.Sprint(n) {
			t.Fatalf("out of order: %v", slow.names)
		}
	}
	new(Events).emit(eventIssuerUp, nil) // no app to tell
	(*Events)(nil).emit(eventIssuerUp, nil)
}

var _ caddyevents.Handler = (*slowHandler)(nil)
