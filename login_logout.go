package caddyoauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// How sessions are ended, for metrics.
const (
	logoutUser        = "user"
	logoutSessions    = "sessions"
	logoutBackchannel = "backchannel"
)

// serveLogout asks whether to log out, and does it for a form of this site: no
// link and no picture logs anybody out.
func (g *Gateway) serveLogout(w http.ResponseWriter, r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return g.page(w, r, http.StatusOK, &page{
			Title: "Log out?", Text: "You will be logged out of this site in this browser.", Confirm: true, anyway: true,
			Sessions: outsideOf(r).mount + g.Login.prefix() + pathSessions,
		})
	case http.MethodPost:
	default:
		return g.notAllowed(w, r, "GET, HEAD, POST")
	}
	if !sameOrigin(r) {
		return g.pageElsewhere(w, r)
	}
	s, err := g.keeper.Open(r.Context())
	if err != nil {
		return g.pageLater(w, r, time.Second, "")
	}
	// A browser that goes meanwhile still wants to be logged out.
	ctx := context.WithoutCancel(r.Context())
	t, hint := g.loginTrust(), ""
	if handle, ok := g.Login.handle(r); ok {
		grant, err := g.browserGrant(ctx, s, handle)
		if err == nil {
			if lender, none := g.keeper.IssuerOf(&grant); none == nil && lender.client != nil {
				t, hint = lender, OriginOf(&grant).IDToken // nobody else sees it
			}
			err = g.endSession(ctx, s, handle)
		}
		if err != nil && !errors.Is(err, session.ErrNoGrant) {
			return g.pageLater(w, r, time.Second, "") // and the cookie stays: the session may live
		}
		if err == nil {
			measure.logout(g.loginTrust().profile.Issuer, logoutUser)
		}
	}
	setCookie(w, g.Login.cookie(), "", -1)
	address := g.endSessionURL(r, t, hint)
	if address == "" {
		return g.serveLoggedOut(w, r)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// endSessionURL is where the browser logs out at the issuer of its session
// (OpenID Connect RP-Initiated Logout §2), or "" where it has no such place. There is no state:
// the page that one comes back to changes nothing.
func (g *Gateway) endSessionURL(r *http.Request, t *trust, hint string) string {
	var ends as.Endpoints
	if status := t.server.Status(); status.Keys > 0 { // else nobody waits for the issuer here
		ends, _ = t.server.Endpoints(r.Context())
	}
	u, err := url.Parse(ends.EndSession)
	if ends.EndSession == "" || err != nil {
		return ""
	}
	q := url.Values{"client_id": {t.client.ID}}
	if hint != "" {
		q.Set("id_token_hint", hint)
	}
	if back := g.Login.PostLogout; back != "" {
		if o := outsideOf(r); strings.HasPrefix(back, "/") {
			back = o.origin() + o.mount + back
		}
		q.Set("post_logout_redirect_uri", back)
	}
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+q.Encode(), "&")
	return u.String()
}

func (g *Gateway) serveLoggedOut(w http.ResponseWriter, r *http.Request) error {
	return g.page(w, r, http.StatusOK, &page{Title: "You are logged out", Text: "Your session on this site has ended.", Home: true})
}

// pageElsewhere is what a request gets that another site may have sent.
func (g *Gateway) pageElsewhere(w http.ResponseWriter, r *http.Request) error {
	measure.verdict("", verdict.CrossSite).Inc()
	return g.page(w, r, http.StatusForbidden, &page{
		Title: "Not from there", Text: "This request did not come from a page of this site, so nothing was done.", Home: true,
	})
}
