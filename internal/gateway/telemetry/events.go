package telemetry

import (
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

// mostQueued bounds the events that wait for a slow handler.
const mostQueued = 64

// Events passes events to Caddy's events app, in order, and without making the
// sender wait: handlers run programs and call webhooks.
type Events struct {
	ctx caddy.Context
	app *caddyevents.App // nil: there is none
	log *zap.Logger

	mu      sync.Mutex
	queue   []queuedEvent
	running bool
}

type queuedEvent struct {
	name string
	data map[string]any
}

// NewEvents emits in the events app of a configuration.
func NewEvents(ctx caddy.Context, log *zap.Logger) *Events {
	q := &Events{ctx: ctx, log: log}
	if app, err := ctx.App("events"); err == nil { // else Provision fails elsewhere
		q.app, _ = app.(*caddyevents.App)
	}
	return q
}

// Emit queues an event, if there is a handler for it. One too many is dropped.
func (q *Events) emit(name string, data map[string]any) {
	if q == nil || q.app == nil || q.ctx.Err() != nil || !q.app.ShouldEmit(name) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) >= mostQueued {
		q.log.Warn("an event was dropped: its handlers are too slow", zap.String("event", name))
		return
	}
	q.queue = append(q.queue, queuedEvent{name, data})
	if !q.running {
		q.running = true
		go q.run()
	}
}

// run emits what is queued and ends when nothing is.
func (q *Events) run() {
	for {
		q.mu.Lock()
		if len(q.queue) == 0 || q.ctx.Err() != nil {
			q.running, q.queue = false, nil
			q.mu.Unlock()
			return
		}
		next := q.queue[0]
		q.queue = q.queue[1:]
		q.mu.Unlock()
		q.app.Emit(q.ctx, next.name, next.data)
	}
}

// Watching adds the events about an issuer's keys to what observes them.
func (q *Events) Watching(issuer string, observe func(as.Event)) func(as.Event) {
	return func(e as.Event) {
		observe(e)
		if e.Op != as.OpFetch {
			return
		}
		if len(e.Added)+len(e.Removed) > 0 {
			q.emit(eventKeysRotated, map[string]any{
				"issuer": issuer, "added": kidsOf(e.Added), "removed": kidsOf(e.Removed), "keys": e.Keys,
			})
		}
		switch {
		case e.Turned && e.Err != nil:
			q.emit(eventIssuerDown, map[string]any{"issuer": issuer, "error": e.Err.Error()})
		case e.Turned:
			q.emit(eventIssuerUp, map[string]any{"issuer": issuer})
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

// RenewalFailed tells that a grant could not be refreshed.
func (q *Events) RenewalFailed(e *session.Event) {
	q.emit(eventRenewalFailed, map[string]any{
		"issuer": e.Issuer, "sref": e.Sref, "outcome": e.Detail, "error": e.Err.Error(),
	})
}
