package caddyoauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// browser is one of a user's sessions, on the page.
type browser struct {
	session.Seen
	Name string
	Here bool // the browser that looks
}

// serveSessions shows a user where they are logged in, and ends what they want.
func (g *Gateway) serveSessions(w http.ResponseWriter, r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		if !sameOrigin(r) {
			return g.pageElsewhere(w, r)
		}
	default:
		return g.notAllowed(w, r, "GET, HEAD, POST")
	}
	s, err := g.keeper.Open(r.Context())
	if err != nil {
		return g.pageLater(w, r, time.Second, "")
	}
	handle, grant, err := g.ownSession(r, s)
	if errors.Is(err, session.ErrNoGrant) {
		return g.beginSessions(w, r, err)
	}
	if err != nil {
		return g.pageLater(w, r, time.Second, "")
	}
	if r.Method == http.MethodPost {
		return g.endSessions(w, r, s, handle, &grant)
	}
	all, err := g.browsersOf(r.Context(), s, handle, &grant)
	if err != nil {
		return g.pageLater(w, r, time.Second, "")
	}
	return g.page(w, r, http.StatusOK, &page{
		Title: "Where you are logged in", Text: "These browsers are logged in to this site as you.", Browsers: all, Home: true,
	})
}

// beginSessions sends whoever is not logged in to log in, and then back here.
func (g *Gateway) beginSessions(w http.ResponseWriter, r *http.Request, err error) error {
	if _, there := g.Login.handle(r); there && !errors.Is(err, session.ErrReplaced) {
		setCookie(w, g.Login.cookie(), "", -1)
	}
	if navigates(r) {
		return g.beginLogin(w, r, outsideOf(r).mount+g.Login.prefix()+pathSessions, better{})
	}
	return g.page(w, r, http.StatusUnauthorized, &page{Title: "You are not logged in", Text: "Log in to see your sessions.", Home: true})
}

// ownSession opens the session of the browser that asks.
func (g *Gateway) ownSession(r *http.Request, s *session.Vault) (session.Handle, session.Grant, error) {
	handle, ok := g.Login.handle(r)
	if !ok {
		return handle, session.Grant{}, session.ErrNoGrant
	}
	grant, err := g.browserGrant(r.Context(), s, handle)
	if err == nil && (OriginOf(&grant).IDSubject == "" || grant.Issuer != g.loginTrust().profile.Issuer) {
		err = session.ErrNoGrant // of another configuration
	}
	return handle, grant, err
}

// browserGrant opens a grant that stands behind a session's cookie. What a client
// holds is spelled alike, but for its first letters, and is none.
func (g *Gateway) browserGrant(ctx context.Context, s *session.Vault, handle session.Handle) (session.Grant, error) {
	grant, user, err := s.Grant(ctx, handle)
	if err == nil && user == (session.ID{}) {
		return session.Grant{}, session.ErrNoGrant
	}
	return grant, err
}

func (g *Gateway) browsersOf(ctx context.Context, s *session.Vault, handle session.Handle, grant *session.Grant) ([]browser, error) {
	seen, err := g.keeper.Browsers(ctx, g.keeper.User(g.loginTrust(), OriginOf(grant).IDSubject))
	if err != nil {
		return nil, err
	}
	all := make([]browser, len(seen))
	for i, one := range seen {
		all[i] = browser{Seen: one, Name: one.Note, Here: one.Key == handle.Key()}
		if one.Note == "" {
			all[i].Name = "A browser"
		}
	}
	return all, nil
}

// endSessions ends one of the user's sessions, or all.
func (g *Gateway) endSessions(w http.ResponseWriter, r *http.Request, s *session.Vault, handle session.Handle, grant *session.Grant) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	which := r.PostFormValue("end")
	ctx := context.WithoutCancel(r.Context())
	var here bool
	var ended int
	var err error
	if which == "all" {
		here = true
		ended, err = g.endAll(ctx, s, handle, grant)
	} else {
		here, ended, err = g.endOne(ctx, s, handle, grant, which)
	}
	for range ended {
		measure.logout(g.loginTrust().profile.Issuer, logoutSessions)
	}
	if err != nil {
		return g.pageLater(w, r, time.Second, "")
	}
	if here {
		setCookie(w, g.Login.cookie(), "", -1)
		return g.serveLoggedOut(w, r)
	}
	w.Header().Set("Location", outsideOf(r).mount+g.Login.prefix()+pathSessions)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// endAll ends also those that the page has no room for. The one that asks comes
// last, so that whoever gets an error can ask again; with its handle its tokens
// are given back.
func (g *Gateway) endAll(ctx context.Context, s *session.Vault, handle session.Handle, grant *session.Grant) (ended int, err error) {
	ended, err = g.keeper.EndBrowsersBut(ctx, g.keeper.User(g.loginTrust(), OriginOf(grant).IDSubject), handle.Key())
	if _, unread := errors.AsType[*session.Unread](err); err != nil && !unread {
		return ended, err
	}
	return ended + 1, g.endSession(ctx, s, handle)
}

// endOne ends a session of the page. Nobody ends another's: only the user's own
// are looked at.
func (g *Gateway) endOne(ctx context.Context, s *session.Vault, handle session.Handle, grant *session.Grant, sref string) (here bool, ended int, err error) {
	all, err := g.browsersOf(ctx, s, handle, grant)
	n := slices.IndexFunc(all, func(one browser) bool { return one.Sref == sref })
	switch {
	case err != nil || n < 0:
		return false, 0, err
	case all[n].Here: // with its handle the tokens are given back too
		return true, 1, g.endSession(ctx, s, handle)
	}
	if err = s.EndKey(ctx, all[n].Key, session.EndedLogout); errors.Is(err, session.ErrNoGrant) {
		err = nil
	}
	return false, 1, err
}
