package caddyoauth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// browser is one of a user's sessions, on the page.
type browser struct {
	session.Seen
	Name string
	Here bool // the browser that looks
}

// listing lets one request walk the store at a time: a page that anybody who is
// logged in can ask for must not cost more.
var listing = make(chan struct{}, 1)

const listWait = 3 * time.Second

var errListing = &session.Unavailable{RetryAfter: listWait, Err: errors.New("others are looking at their sessions")}

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
	s, err := g.grants(r.Context())
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
	all, err := g.browsersOf(r.Context(), s, handle, &grant)
	if err == nil && r.Method == http.MethodPost {
		return g.endSessions(w, r, s, handle, all)
	}
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
	if err == nil && (originOf(&grant).IDSubject == "" || grant.Issuer != g.loginTrust().profile.Issuer) {
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
	timer := time.NewTimer(listWait)
	defer timer.Stop()
	select {
	case listing <- struct{}{}:
		defer func() { <-listing }()
	case <-timer.C:
		return nil, errListing
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	from := originOf(grant)
	seen, err := s.Browsers(ctx, grant.Issuer, from.Client, from.IDSubject)
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

// endSessions ends one of the user's sessions, or all. Nobody ends another's:
// only the user's own are looked at.
func (g *Gateway) endSessions(w http.ResponseWriter, r *http.Request, s *session.Vault, handle session.Handle, all []browser) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	which := r.PostFormValue("end")
	ctx, here, ended := context.WithoutCancel(r.Context()), false, 0
	for _, one := range all {
		if which != "all" && which != one.Sref {
			continue
		}
		var err error
		if one.Here { // with its handle the tokens are given back too
			err = g.endSession(ctx, s, handle)
		} else if err = s.EndKey(ctx, one.Key, session.EndedLogout); errors.Is(err, session.ErrNoGrant) {
			err = nil
		}
		if err != nil {
			return g.pageLater(w, r, time.Second, "")
		}
		ended++
		here = here || one.Here
		measure.logout(g.loginTrust().profile.Issuer, logoutSessions)
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
