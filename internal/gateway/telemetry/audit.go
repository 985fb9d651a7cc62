package telemetry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Audit writes who did what, and what became of it: one line for each
// request, token request, and beginning and end of a grant, by Caddy's logger
// http.handlers.oauth.audit. A nil one writes nothing.
//
// Nothing that could be used stands in it: of a token there is a digest of its
// jti, of a grant its name in the logs.
type Audit struct{ log *zap.Logger }

// NewAudit writes to the logger audit below log.
func NewAudit(log *zap.Logger) *Audit { return &Audit{log.Named("audit")} }

// What the lines are about.
const (
	auditRequest      = "request"
	auditTokenRequest = "token request"
	auditGrantBegun   = "grant begun"
	auditGrantEnded   = "grant ended"
)

// What became of it.
const (
	auditAccepted = "accepted"
	auditRefused  = "refused" // the sender's affair
	auditFailed   = "failed"  // ours, or the issuer's: no verdict
)

// Admitted tells of a request that passes; anonymous ones have no principal.
func (a *Audit) Admitted(r *http.Request, p *token.Principal) {
	if a == nil {
		return
	}
	reason := verdict.Accepted
	if p == nil {
		reason = verdict.Anonymous
	}
	a.log.Info(auditRequest, append(request(r), append(whoIs(p), zap.String("verdict", auditAccepted), zap.String("reason", reason))...)...)
}

// Refused tells of a request that does not. Who is asking is told only if the
// token was proven, and lacks something.
func (a *Audit) Refused(r *http.Request, p *token.Principal, err error, status int, reason, issuer string) {
	decision := auditFailed
	if _, rejected := errors.AsType[*verdict.Rejection](err); rejected {
		decision = auditRefused
	}
	who := whoIs(p)
	if p == nil {
		who = []zap.Field{Known("issuer", issuer)}
	}
	a.log.Info(auditRequest, append(request(r), append(who,
		zap.String("verdict", decision), zap.String("reason", reason), zap.Int("status", status))...)...)
}

func request(r *http.Request) []zap.Field {
	return []zap.Field{
		zap.String("method", r.Method), zap.String("host", r.Host), zap.String("path", r.URL.Path),
		zap.String("client_ip", ClientAddress(r)),
	}
}

// clientClaims is where issuers tell which client a token was given to: RFC
// 9068 §2.2, OpenID Connect, Okta and Microsoft Entra.
var clientClaims = []string{"client_id", "azp", "cid", "appid"}

func whoIs(p *token.Principal) []zap.Field {
	if p == nil {
		return nil
	}
	fields := []zap.Field{zap.String("issuer", p.Issuer), Known("subject", p.Subject)}
	for _, name := range clientClaims {
		claim, _ := p.Claim(name)
		if client, ok := claim.(string); ok && client != "" {
			fields = append(fields, zap.String("client_id", client))
			break
		}
	}
	if claim, _ := p.Claim("jti"); claim != nil {
		if jti, ok := claim.(string); ok && jti != "" {
			fields = append(fields, zap.String("jti_digest", jtiDigest(jti)))
		}
	}
	acr, _ := p.Claim("acr")
	if way, ok := acr.(string); ok {
		fields = append(fields, Known("acr", Bounded(way)))
	}
	at, _ := p.Claim("auth_time")
	if seconds, ok := token.Plain(at).(int64); ok {
		fields = append(fields, zap.Int64("auth_time", seconds))
	}
	return fields
}

// jtiDigest lets an issuer's log and ours be compared: the first half of the
// SHA-256 of jti, in hex.
func jtiDigest(jti string) string {
	sum := sha256.Sum256([]byte(jti))
	return hex.EncodeToString(sum[:16])
}

// TokenRequest tells of a request to an endpoint of our own. client and grant
// are empty if it could not be read.
func (a *Audit) TokenRequest(r *http.Request, client, grant, issuer, result string, status int) {
	if a == nil {
		return
	}
	decision := auditAccepted
	switch {
	case status >= http.StatusInternalServerError || status == verdict.StatusClientGone:
		decision = auditFailed
	case status != http.StatusOK:
		decision = auditRefused
	}
	a.log.Info(auditTokenRequest, append(request(r), zap.String("issuer", issuer), Known("client_id", Bounded(client)),
		Known("grant_type", grant), zap.String("verdict", decision), zap.String("reason", result), zap.Int("status", status))...)
}

// GrantBegun tells whose grant has the name sref from now on.
func (a *Audit) GrantBegun(r *http.Request, client, grant, issuer, subject, sref string) {
	if a == nil {
		return
	}
	a.log.Info(auditGrantBegun, append(request(r), zap.String("issuer", issuer), Known("client_id", Bounded(client)),
		Known("subject", subject), zap.String("grant_type", grant), zap.String("sref", sref))...)
}

// GrantEnded tells that a grant has ended, and why.
func (a *Audit) GrantEnded(e *session.Event) {
	if a == nil {
		return
	}
	a.log.Info(auditGrantEnded, zap.String("sref", e.Sref), zap.String("reason", e.Detail))
}
