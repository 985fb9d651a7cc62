package caddyoauth

import (
	"net/http"

	"go.uber.org/zap"
)

// What the lines about browsers are about. The end of a session is a grant's.
const (
	auditLoggedIn    = "logged in"
	auditLoginFailed = "login failed"
)

// loggedIn tells whose session has the name sref from now on.
func (a *auditLog) loggedIn(r *http.Request, issuer, subject, sref string) {
	if a == nil {
		return
	}
	a.log.Info(auditLoggedIn, append(request(r), zap.String("issuer", issuer), zap.String("subject", subject),
		zap.String("verdict", auditAccepted), zap.String("sref", sref))...)
}

func (a *auditLog) loginFailed(r *http.Request, issuer, outcome string, status int) {
	if a == nil {
		return
	}
	decision := auditRefused
	if status >= http.StatusInternalServerError || status == statusClientGone {
		decision = auditFailed
	}
	a.log.Info(auditLoginFailed, append(request(r), zap.String("issuer", issuer),
		zap.String("verdict", decision), zap.String("reason", outcome), zap.Int("status", status))...)
}
