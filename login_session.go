package caddyoauth

import (
	"context"
	"errors"
	"net/http"
	"net/netip"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// bySession finds the credential of a browser that brought no other: the
// session's cookie.
func (g *Gateway) bySession(r *http.Request, found presented) (presented, error) {
	if found.token != "" {
		return found, nil
	}
	value, n := g.Login.find(r.Header)
	if n == 0 {
		return found, nil
	}
	found = presented{token: value, session: true}
	if n > 1 {
		found.token = "" // a browser sends one of a __Host- name
	}
	if changes(r) && !sameOrigin(r) {
		return found, &verdict.Rejection{
			Status: http.StatusForbidden, Reason: verdict.CrossSite,
			Detail: "a request that may change something came with a session's cookie and neither Sec-Fetch-Site: same-origin nor this site's Origin",
		}
	}
	return found, nil
}

// redeemSession replaces a session's handle by its access token, refreshed if it
// has run out. A session that has ended is none: then the token is empty.
func (g *Gateway) redeemSession(ctx context.Context, found presented) (presented, error) {
	handle, ok := session.ParseHandle(sessionPrefix, found.token)
	if !ok {
		found.token = ""
		return found, nil
	}
	found.grant = handle
	return found.become(g.keeper.Access(ctx, handle))
}

// dropCookie takes a session's cookie away that is good for nothing. One that a
// newer log-in of the same browser has replaced is on its way out already: to
// take it away now could hit the new one.
func (g *Gateway) dropCookie(w http.ResponseWriter, found presented) {
	if found.session && !found.replaced {
		setCookie(w, g.Login.cookie(), "", -1)
	}
}

// coarse is about where an address is: its network, not the machine.
func coarse(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return "address unknown"
	}
	ip = ip.Unmap().WithZone("")
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	network, err := ip.Prefix(bits)
	if err != nil {
		return "address unknown"
	}
	return "network " + network.String()
}

// endSession ends a session of which the browser holds the handle, and counts it.
func (g *Gateway) endSession(ctx context.Context, s *session.Vault, handle session.Handle) error {
	err := s.End(ctx, handle, session.EndedLogout)
	if errors.Is(err, session.ErrNoGrant) {
		return nil
	}
	if err != nil {
		g.log.Warn("a log-out failed", zap.String("sref", s.Sref(handle.Key())), zap.Error(err))
		return err
	}
	return nil
}

// logInAnew lets a browser log in again whose session's access token is good no
// more, because a key was withdrawn for instance. There is no loop: a log-in
// whose token would not pass fails.
func (found presented) logInAnew(err error) error {
	if rejection, ok := errors.AsType[*verdict.Rejection](err); ok && found.session && rejection.Status == http.StatusUnauthorized {
		again := *rejection
		again.LogIn = true
		return &again
	}
	return err
}
