package caddyoauth

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/signals"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
)

// attachSignals has this gateway do what transmitters' events say, as long as its
// configuration is in force.
func (g *Gateway) attachSignals() {
	g.attached.Lock()
	defer g.attached.Unlock()
	if g.attached.ended {
		return
	}
	for _, t := range g.validator.All() {
		if t.Signals == nil {
			continue
		}
		site := &signals.Site{Log: g.log, TakeBack: g.validator.Revoked.Add}
		if g.keeper != nil {
			site.End = func(ctx context.Context, e revoked.Entry) (int, error) { return g.keeper.EndRevoked(ctx, &e) }
			site.Memory = eventMemory{g.keeper}
		}
		g.attached.detach = append(g.attached.detach, t.Signals.Attach(site))
	}
}

// attached is what Cleanup lets go of that came after Provision.
type attached struct {
	sync.Mutex
	detach []func()
	ended  bool
}

func (a *attached) end() {
	a.Lock()
	defer a.Unlock()
	a.ended = true
	for _, detach := range a.detach {
		detach()
	}
	a.detach = nil
}

// eventMemory is what the nodes of a store know of events.
type eventMemory struct{ keeper *grants.Keeper }

const sealEvent = "security event"

func (m eventMemory) Happened(ctx context.Context, parts ...string) (bool, error) {
	vault, err := m.keeper.Open(ctx)
	if err != nil {
		return false, err
	}
	return vault.Happened(ctx, sealEvent, parts...)
}

func (m eventMemory) Once(ctx context.Context, until time.Time, parts ...string) (bool, error) {
	vault, err := m.keeper.Open(ctx)
	if err != nil {
		return false, err
	}
	return vault.Once(ctx, sealEvent, until, parts...)
}

func (m eventMemory) Forget(ctx context.Context, parts ...string) error {
	vault, err := m.keeper.Open(ctx)
	if err != nil {
		return err
	}
	return vault.CameToNothing(ctx, sealEvent, parts...)
}

// signalsPath finds what takes the events that a transmitter posts to a path, or nil.
func (g *Gateway) signalsPath(r *http.Request) ownHandler {
	all := g.validator.All()
	i := slices.IndexFunc(all, func(t *issuers.Trust) bool { return t.Signals != nil && t.Signals.Owns(r.URL.Path) })
	if i < 0 {
		return nil
	}
	return all[i].Signals.ServeHTTP
}
