package login

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// browser is one of a user's sessions, on the page.
type browser struct {
	session.Seen
	Name string
	Here bool // the browser that looks
}

// serveSessions shows a user where they are logged in, and ends what they want.
func (s *Site) serveSessions(w http.ResponseWriter, r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		if !sameOrigin(r) {
			return pageElsewhere(w, r)
		}
	default:
		return notAllowed(w, r, "GET, HEAD, POST")
	}
	vault, err := s.Keeper.Open(r.Context())
	if err != nil {
		return pageLater(w, r, time.Second, "")
	}
	handle, grant, err := s.ownSession(r, vault)
	if errors.Is(err, session.ErrNoGrant) {
		return s.beginSessions(w, r, err)
	}
	if err != nil {
		return pageLater(w, r, time.Second, "")
	}
	if r.Method == http.MethodPost {
		return s.endSessions(w, r, vault, handle, &grant)
	}
	all, err := s.browsersOf(r.Context(), handle, &grant)
	if err != nil {
		return pageLater(w, r, time.Second, "")
	}
	return writePage(w, r, http.StatusOK, &page{
		text: textSessionsListed, Browsers: all, Home: true,
	})
}

// beginSessions sends a browser without a session to log in, and then back here.
func (s *Site) beginSessions(w http.ResponseWriter, r *http.Request, err error) error {
	if _, there := s.Block.handle(r); there && !errors.Is(err, session.ErrReplaced) {
		setCookie(w, s.Block.CookieName(), "", -1)
	}
	if navigates(r) {
		return s.begin(w, r, siteURLOf(r).mount+s.Block.PathPrefix()+pathSessions, stepUp{})
	}
	return writePage(w, r, http.StatusUnauthorized, &page{text: textSessionsNeedLogin, Home: true})
}

// ownSession opens the session of the browser that asks.
func (s *Site) ownSession(r *http.Request, vault *session.Vault) (session.Handle, session.Grant, error) {
	handle, ok := s.Block.handle(r)
	if !ok {
		return handle, session.Grant{}, session.ErrNoGrant
	}
	grant, err := s.browserGrant(r.Context(), vault, handle)
	if err == nil && (grants.OriginOf(&grant).IDSubject == "" || grant.Issuer != s.Trust.Profile.Issuer) {
		err = session.ErrNoGrant // of another configuration
	}
	return handle, grant, err
}

// browserGrant opens a grant that stands behind a session's cookie. What a client
// holds is spelled alike, but for its prefix, and is none.
func (s *Site) browserGrant(ctx context.Context, vault *session.Vault, handle session.Handle) (session.Grant, error) {
	grant, user, err := vault.Grant(ctx, handle)
	if err == nil && user == (session.ID{}) {
		return session.Grant{}, session.ErrNoGrant
	}
	return grant, err
}

func (s *Site) browsersOf(ctx context.Context, handle session.Handle, grant *session.Grant) ([]browser, error) {
	seen, err := s.Keeper.Browsers(ctx, s.Keeper.User(s.Trust, grants.OriginOf(grant).IDSubject))
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
func (s *Site) endSessions(w http.ResponseWriter, r *http.Request, vault *session.Vault, handle session.Handle, grant *session.Grant) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	which := r.PostFormValue("end")
	ctx := context.WithoutCancel(r.Context())
	var here bool
	var ended int
	var err error
	if which == "all" {
		here = true
		ended, err = s.endAll(ctx, vault, handle, grant)
	} else {
		here, ended, err = s.endOne(ctx, vault, handle, grant, which)
	}
	for range ended {
		telemetry.Metrics.Logout(s.Trust.Profile.Issuer, logoutSessions)
	}
	if err != nil {
		return pageLater(w, r, time.Second, "")
	}
	if here {
		setCookie(w, s.Block.CookieName(), "", -1)
		return serveLoggedOut(w, r)
	}
	return redirect(w, http.StatusSeeOther, siteURLOf(r).mount+s.Block.PathPrefix()+pathSessions)
}

// endAll ends also those that the page has no room for. The one that asks comes
// last, so that the browser can ask again after an error; with its handle its tokens
// are given back.
func (s *Site) endAll(ctx context.Context, vault *session.Vault, handle session.Handle, grant *session.Grant) (ended int, err error) {
	ended, err = s.Keeper.EndBrowsersBut(ctx, s.Keeper.User(s.Trust, grants.OriginOf(grant).IDSubject), handle.Key())
	if _, unread := errors.AsType[*session.Unread](err); err != nil && !unread {
		return ended, err
	}
	return ended + 1, s.endSession(ctx, vault, handle)
}

// endOne ends a session of the page: one of the user's own, which alone are
// looked at.
func (s *Site) endOne(ctx context.Context, vault *session.Vault, handle session.Handle, grant *session.Grant, sref string) (here bool, ended int, err error) {
	all, err := s.browsersOf(ctx, handle, grant)
	n := slices.IndexFunc(all, func(one browser) bool { return one.Sref == sref })
	switch {
	case err != nil || n < 0:
		return false, 0, err
	case all[n].Here: // with its handle the tokens are given back too
		return true, 1, s.endSession(ctx, vault, handle)
	}
	if err = vault.EndKey(ctx, all[n].Key, session.EndedLogout); errors.Is(err, session.ErrNoGrant) {
		err = nil
	}
	return false, 1, err
}
