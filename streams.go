package caddyoauth

import (
	"context"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/gateway/streams"
	"github.com/caddyoauth/caddyoauth/internal/gateway/upstream"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// newStreams makes the room of exchanges that stay open, each for as long as what let
// it in counts.
func (g *Gateway) newStreams() *streams.Room {
	o := streams.Options{
		Block: g.Streams, Now: func() time.Time { return g.validator.Now() }, Log: g.log, Judge: g.judgeAgain, Dress: g.dress,
	}
	if g.keeper != nil {
		o.Watch, o.Unwatch, o.UseEach = g.keeper.Watch, g.keeper.Unwatch, g.keeper.UseEach()
	}
	var stop []func()
	o.Over = func() {
		for _, each := range stop {
			each()
		}
	}
	room := streams.New(o)
	stop = append(stop, g.validator.Revoked.Watch(func(e revoked.Entry) { room.Reconsider(e.Issuer, e.Subject) }))
	for _, t := range g.validator.All() {
		stop = append(stop, t.WatchStatuses(func() { room.Reconsider(t.Profile.Issuer, "") }))
	}
	return room
}

// forward lets next answer what was admitted, for as long as what let it in counts.
func (g *Gateway) forward(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, let streams.Admitted, browser bool) error {
	if let.As == nil {
		return upstream.Forward(w, r, next, g.places, let.Found, browser)
	}
	return g.streams.Serve(w, r, &let, next, func(w http.ResponseWriter, r *http.Request) error {
		return upstream.Forward(w, r, next, g.places, let.Found, browser)
	})
}

// judgeAgain judges what has let in an exchange that is still open, as it would be
// judged if it came now. Which requirements are about it was found when it came, and
// so were those of time: how long ago somebody may have logged in is no reason to end
// what began early enough.
func (g *Gateway) judgeAgain(ctx context.Context, found credential.Presented, needs policy.Fit, began time.Time) (j streams.Judged, err error) {
	p, found, err := g.keeper.ProveAgain(ctx, found, g.prove)
	switch {
	case err != nil:
		return j, err
	case p == nil: // a session that has ended
		return j, &verdict.Rejection{Status: http.StatusUnauthorized, Reason: verdict.NoCredential, LogIn: true}
	}
	p.Withdraw(found.Lost)
	if err := needs.Still(p, g.validator.Of(p).Require, began); err != nil {
		return j, err
	}
	j = streams.Judged{Found: found, As: p, Until: p.Until()}
	if found.Swapped {
		j.Until = found.Until
	}
	return j, nil
}

// dress makes of a request of the gateway's own what the upstream gets of one that was
// let in so.
func (g *Gateway) dress(r *http.Request, by streams.Judged) error {
	g.identity.Introduce(r, by.As)
	if err := g.identity.Headers(r.Header, by.As); err != nil {
		return err
	}
	g.prepareForUpstream(r, by.Found)
	return nil
}
