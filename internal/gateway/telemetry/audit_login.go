package telemetry

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// What the lines about browsers are about. The end of a session is a grant's.
const (
	auditLoggedIn    = "logged in"
	auditLoginFailed = "login failed"
)

// LoggedIn tells whose session has the name sref from now on.
func (a *Audit) LoggedIn(r *http.Request, issuer, subject, sref string) {
	if a == nil {
		return
	}
	a.log.Info(auditLoggedIn, append(request(r), zap.String("issuer", issuer), zap.String("subject", subject),
		zap.String("verdict", auditAccepted), zap.String("sref", sref))...)
}

// LoginFailed tells of a log-in that did not come to its end.
func (a *Audit) LoginFailed(r *http.Request, issuer, outcome string, status int) {
	if a == nil {
		return
	}
	decision := auditRefused
	if status >= http.StatusInternalServerError || status == verdict.StatusClientGone {
		decision = auditFailed
	}
	a.log.Info(auditLoginFailed, append(request(r), zap.String("issuer", issuer),
		zap.String("verdict", decision), zap.String("reason", outcome), zap.Int("status", status))...)
}
