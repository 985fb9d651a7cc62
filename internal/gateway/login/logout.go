package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
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
// link and no picture logs a user out.
func (s *Site) serveLogout(w http.ResponseWriter, r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return writePage(w, r, http.StatusOK, &page{
			text: textAskLogout, Confirm: true, toIssuer: true,
			Sessions: siteURLOf(r).mount + s.Block.PathPrefix() + pathSessions,
		})
	case http.MethodPost:
	default:
		return notAllowed(w, r, "GET, HEAD, POST")
	}
	if !sameOrigin(r) {
		return pageElsewhere(w, r)
	}
	vault, err := s.Keeper.Open(r.Context())
	if err != nil {
		return pageLater(w, r, time.Second, "")
	}
	// A browser that goes meanwhile still wants to be logged out.
	ctx := context.WithoutCancel(r.Context())
	t, hint := s.Trust, ""
	if handle, ok := s.Block.handle(r); ok {
		grant, err := s.browserGrant(ctx, vault, handle)
		if err == nil {
			if grantedBy, none := s.Keeper.IssuerOf(&grant); none == nil && grantedBy.Client != nil {
				t, hint = grantedBy, grants.OriginOf(&grant).IDToken // only the issuer that made it sees it
			}
			err = s.endSession(ctx, vault, handle)
		}
		if err != nil && !errors.Is(err, session.ErrNoGrant) {
			return pageLater(w, r, time.Second, "") // and the cookie stays: the session may live
		}
		if err == nil {
			telemetry.Metrics.Logout(s.Trust.Profile.Issuer, logoutUser)
		}
	}
	setCookie(w, s.Block.CookieName(), "", -1)
	address := s.endSessionURL(r, t, hint)
	if address == "" {
		return serveLoggedOut(w, r)
	}
	return redirect(w, http.StatusSeeOther, address)
}

// endSessionURL is where the browser logs out at the issuer of its session
// (OpenID Connect RP-Initiated Logout §2), or "" where it has no such place. There
// is no state: the page that one comes back to changes nothing.
func (s *Site) endSessionURL(r *http.Request, t *issuers.Trust, hint string) string {
	var ends as.Endpoints
	if status := t.Server.Status(); status.Keys > 0 || t.Server.IsPlain() { // else a log-out would wait for an issuer that is down
		ends, _ = t.Server.Endpoints(r.Context())
	}
	u, err := url.Parse(ends.EndSession)
	if ends.EndSession == "" || err != nil {
		return ""
	}
	q := url.Values{"client_id": {t.Client.ID}}
	if hint != "" && len(hint) <= mostHint {
		q.Set("id_token_hint", hint)
	}
	site := siteURLOf(r)
	whole := func(value string) string {
		if strings.HasPrefix(value, "/") {
			return site.origin() + site.mount + value
		}
		return value
	}
	if back := s.Block.PostLogout; back != "" {
		q.Set("post_logout_redirect_uri", whole(back))
	}
	for name, value := range s.Block.LogoutParameter {
		q.Set(name, whole(value))
	}
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+q.Encode(), "&")
	return u.String()
}

func serveLoggedOut(w http.ResponseWriter, r *http.Request) error {
	return writePage(w, r, http.StatusOK, &page{text: textLoggedOut, Home: true})
}

// pageElsewhere answers a request that another site may have sent.
func pageElsewhere(w http.ResponseWriter, r *http.Request) error {
	telemetry.Metrics.Verdict("", verdict.CrossSite).Inc()
	return writePage(w, r, http.StatusForbidden, &page{
		text: textCrossSite, Home: true,
	})
}

// endSession ends a session of which the browser holds the handle, and counts it.
func (s *Site) endSession(ctx context.Context, vault *session.Vault, handle session.Handle) error {
	err := vault.End(ctx, handle, session.EndedLogout)
	if errors.Is(err, session.ErrNoGrant) {
		return nil
	}
	if err != nil {
		s.Log.Warn("a log-out failed", zap.String("sref", vault.Sref(handle.Key())), zap.Error(err))
		return err
	}
	return nil
}
