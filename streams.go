package caddyoauth

import (
	"context"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/streams"
	"github.com/caddyoauth/caddyoauth/internal/gateway/upstream"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// newStreams makes the room of exchanges that stay open, each for as long as what let
// it in counts.
func (g *Gateway) newStreams() *streams.Room {
	o := streams.Options{
		Block: g.Streams, Now: func() time.Time { return g.validator.Now() }, Log: g.log, Judge: g.judgeAgain,
	}
	if g.keeper != nil {
		o.Watch, o.Unwatch, o.UseEach = g.keeper.Watch, g.keeper.Unwatch, g.keeper.UseEach()
	}
	var stop func()
	o.Over = func() { stop() }
	room := streams.New(o)
	stop = g.validator.Revoked.Watch(func(e revoked.Entry) { room.Reconsider(e.Issuer, e.Subject) })
	return room
}

// forward lets next answer what was admitted, for as long as what let it in counts.
// p is nil for an anonymous request.
func (g *Gateway) forward(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, found credential.Presented, p *token.Principal, browser bool) error {
	if p == nil {
		return upstream.Forward(w, r, next, g.places, found, browser)
	}
	return g.streams.Serve(w, r, &found, p, func(w http.ResponseWriter, r *http.Request) error {
		return upstream.Forward(w, r, next, g.places, found, browser)
	})
}

// judgeAgain judges what has let in an exchange that is still open, as it would be
// judged if it came now, but for what is asked of the request itself.
func (g *Gateway) judgeAgain(ctx context.Context, found credential.Presented) (until time.Time, err error) {
	p, found, err := g.keeper.ProveAgain(ctx, found, g.identify)
	switch {
	case err != nil:
		return until, err
	case p == nil: // a session that has ended
		return until, &verdict.Rejection{Status: http.StatusUnauthorized, Reason: verdict.NoCredential, LogIn: true}
	case found.Swapped:
		return found.Until, nil
	}
	return p.Until(), nil
}
