package caddyoauth

import (
	"context"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// The events that Caddy's events app gets from us, for handlers of
// events.handlers. They are subscribed to by name: the origin that Caddy notes
// is not reliable for modules that share a parent.
const (
	eventKeysRotated   = "oauth_keys_rotated"
	eventIssuerDown    = "oauth_issuer_down"
	eventIssuerUp      = "oauth_issuer_up"
	eventRenewalFailed = "oauth_renewal_failed"
)

// onEvent makes a function a handler of Caddy's events.
type onEvent func()

// Handle calls the function.
func (f onEvent) Handle(context.Context, caddy.Event) error {
	f()
	return nil
}

// mostQueued bounds the events that wait for a slow handler.
const mostQueued = 64

// herald tells Caddy's events app, in order, and without making whoever has
// something to tell wait: handlers run programs and call webhooks.
type herald struct {
	ctx caddy.Context
	app *caddyevents.App // nil: nobody to tell
	log *zap.Logger

	mu      sync.Mutex
	queue   []queuedEvent
	running bool
}

type queuedEvent struct {
	name string
	data map[string]any
}

func newHerald(ctx caddy.Context, log *zap.Logger) *herald {
	h := &herald{ctx: ctx, log: log}
	if app, err := ctx.App("events"); err == nil { // else Provision fails elsewhere
		h.app, _ = app.(*caddyevents.App)
	}
	return h
}

// tell queues an event, if anybody listens. One too many is dropped.
func (h *herald) tell(name string, data map[string]any) {
	if h == nil || h.app == nil || h.ctx.Err() != nil || !h.app.ShouldEmit(name) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.queue) >= mostQueued {
		h.log.Warn("an event was dropped: its handlers are too slow", zap.String("event", name))
		return
	}
	h.queue = append(h.queue, queuedEvent{name, data})
	if !h.running {
		h.running = true
		go h.run()
	}
}

// run tells what is queued and ends when nothing is.
func (h *herald) run() {
	for {
		h.mu.Lock()
		if len(h.queue) == 0 || h.ctx.Err() != nil {
			h.running, h.queue = false, nil
			h.mu.Unlock()
			return
		}
		next := h.queue[0]
		h.queue = h.queue[1:]
		h.mu.Unlock()
		h.app.Emit(h.ctx, next.name, next.data)
	}
}

// watching adds the events about an issuer's keys to what observes them.
func (h *herald) watching(issuer string, observe func(as.Event)) func(as.Event) {
	return func(e as.Event) {
		observe(e)
		if e.Op != as.OpFetch {
			return
		}
		if len(e.Added)+len(e.Removed) > 0 {
			h.tell(eventKeysRotated, map[string]any{
				"issuer": issuer, "added": kidsOf(e.Added), "removed": kidsOf(e.Removed), "keys": e.Keys,
			})
		}
		switch {
		case e.Turned && e.Err != nil:
			h.tell(eventIssuerDown, map[string]any{"issuer": issuer, "error": e.Err.Error()})
		case e.Turned:
			h.tell(eventIssuerUp, map[string]any{"issuer": issuer})
		}
	}
}

func kidsOf(keys []token.KeyInfo) []string {
	kids := make([]string, len(keys))
	for i, key := range keys {
		kids[i] = key.ID
	}
	return kids
}

// announce tells those who listen what the vault does: events and the audit
// stream of the configuration in force.
func (v *vault) announce(e *session.Event) {
	host := v.host()
	if host == nil {
		return
	}
	if e.Name == session.EventRenewal && e.Err != nil {
		host.herald.tell(eventRenewalFailed, map[string]any{
			"issuer": e.Issuer, "sref": e.Sref, "outcome": e.Detail, "error": e.Err.Error(),
		})
	}
	if e.Name == session.EventEnd {
		host.audit.grantEnded(e)
	}
}
