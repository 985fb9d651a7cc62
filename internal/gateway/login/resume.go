package login

import (
	"errors"
	"net/http"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// withoutState answers a callback that no log-in of this browser fits. One whose
// browser is logged in by now leads on: by the back button, or from a tab that
// was left open until its log-in had run out.
func (s *Site) withoutState(w http.ResponseWriter, r *http.Request, vault *session.Vault) error {
	if _, _, err := s.ownSession(r, vault); err == nil {
		return s.leadOn(w, r, s.Block.returnTo(siteURLOf(r), ""))
	}
	return s.fail(w, r, nil, &failure{
		outcome: outcomeNoState, status: http.StatusBadRequest,
		detail: "no log-in of this browser fits: it took too long, was finished before, or began somewhere else",
	})
}

// unfinished answers a callback of a log-in that came to nothing. A browser that
// was logged in meanwhile, in another tab, needs it no more: Keycloak ends the
// log-ins of all tabs but one. Where it only took the user too long, another one
// begins.
func (s *Site) unfinished(w http.ResponseWriter, r *http.Request, vault *session.Vault, p *pending, q callback, err error) error {
	failed, known := errors.AsType[*failure](err)
	if !known || failed.outcome == outcomeWrongIssuer || q.failure == "" && failed.outcome != outcomeNoState {
		return s.fail(w, r, p, err)
	}
	if _, grant, none := s.ownSession(r, vault); none == nil && grant.Created.After(p.began()) {
		return s.leadOn(w, r, p.Return)
	}
	if q.tookTooLong() && !p.Again {
		s.Log.Info("a log-in begins again: the issuer's own page was left open for too long",
			zap.String("issuer", s.Trust.Profile.Issuer), zap.String("client_ip", telemetry.ClientAddress(r)))
		return s.beginWith(w, r, p.Return, p.StepUp, true)
	}
	return s.fail(w, r, p, err)
}

// tookTooLong reports whether the issuer wants the client to begin again at once,
// as Keycloak spells it.
func (q *callback) tookTooLong() bool {
	return q.failure == "temporarily_unavailable" && q.described == "authentication_expired"
}

// leadOn sends a browser where it was going: it is logged in.
func (s *Site) leadOn(w http.ResponseWriter, r *http.Request, address string) error {
	telemetry.Metrics.Login(s.Trust.Profile.Issuer, outcomeElsewhere)
	s.Log.Debug("a log-in was not needed any more: the browser is logged in", zap.String("client_ip", telemetry.ClientAddress(r)))
	return redirect(w, http.StatusSeeOther, address)
}
