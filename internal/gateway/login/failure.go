package login

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/limits"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// What becomes of log-ins, for metrics and logs; docs/metrics.md has each.
const (
	outcomeBegun       = "begun"
	outcomeDone        = "logged_in"
	outcomeElsewhere   = "elsewhere"
	outcomeDenied      = "denied"
	outcomeNoState     = "no_state"
	outcomeBadRequest  = "bad_request"
	outcomeWrongIssuer = "wrong_issuer"
	outcomeBadCode     = "bad_code"
	outcomeIDToken     = "id_token"
	outcomeAccessToken = "access_token"
	outcomeUserInfo    = "userinfo"
	outcomeWeak        = "weak"
	outcomeInsecure    = "insecure"
	outcomeRefused     = "refused"
	outcomeTooMany     = "too_many"
	outcomeFull        = "full"
	outcomeUnavailable = "unavailable"
)

// failure is why a browser was not logged in.
type failure struct {
	outcome string
	status  int
	level   zapcore.Level // how loud to be; the zero level is Info
	detail  string        // for the log alone
}

func (e *failure) Error() string { return e.outcome + ": " + e.detail }

// issuerSaid is the error that came instead of a code (RFC 6749 §4.1.2.1, OpenID
// Connect Core §3.1.2.6). Its text is the sender's: only known words are told.
func issuerSaid(code string) error {
	switch code {
	case "access_denied", "login_required", "consent_required", "interaction_required", "account_selection_required":
		return &failure{outcome: outcomeDenied, status: http.StatusForbidden, detail: code}
	case "temporarily_unavailable", "server_error":
		return &failure{outcome: outcomeUnavailable, status: http.StatusServiceUnavailable, level: zapcore.WarnLevel, detail: "the issuer says " + code}
	}
	if !slices.Contains([]string{"invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "invalid_target"}, code) {
		code = "an error that is not known here"
	}
	return &failure{
		outcome: outcomeRefused, status: http.StatusForbidden, level: zapcore.ErrorLevel,
		detail: "the issuer says " + code + ": compare the client's settings there with scope, resource and parameter here",
	}
}

// asFailure makes every error one that can be shown.
func asFailure(err error) (shown *failure, wait time.Duration) {
	if known, ok := errors.AsType[*failure](err); ok {
		return known, 0
	}
	shown = &failure{outcome: outcomeUnavailable, status: http.StatusServiceUnavailable, level: zapcore.WarnLevel, detail: err.Error()}
	if later, ok := errors.AsType[*session.Unavailable](err); ok {
		return shown, later.RetryAfter
	}
	if limited, ok := errors.AsType[*limits.TooMany](err); ok {
		return &failure{
			outcome: outcomeTooMany, status: http.StatusTooManyRequests, level: zapcore.WarnLevel, detail: limited.Error(),
		}, limited.Wait
	}
	if issuers.IsClocks(err) {
		shown.level = zapcore.ErrorLevel
		return shown, time.Minute
	}
	if _, full := errors.AsType[*session.Full](err); full {
		return &failure{outcome: outcomeFull, status: http.StatusTooManyRequests, level: zapcore.WarnLevel, detail: err.Error()}, grants.FullWait
	}
	call, ok := errors.AsType[*as.CallError](err)
	if !ok {
		return shown, time.Second
	}
	switch call.Fate {
	case as.BadClient: // the configuration has to change
		shown.level = zapcore.ErrorLevel
		return shown, time.Minute
	case as.Refused: // the sender's code, or one that was used up
		return &failure{outcome: outcomeBadCode, status: http.StatusBadRequest, detail: err.Error()}, 0
	case as.Unconsumed:
		if call.Status >= 400 && call.Status < 500 && call.Status != http.StatusTooManyRequests {
			return &failure{outcome: outcomeRefused, status: http.StatusForbidden, level: zapcore.ErrorLevel, detail: err.Error()}, 0
		}
	}
	return shown, max(call.RetryAfter, time.Second)
}

// fail shows what became of a log-in, and a way to try again. p is the
// log-in, where it is known.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, p *pending, err error) error {
	shown, wait := asFailure(err)
	issuer := s.Trust.Profile.Issuer
	if r.Context().Err() != nil && shown.status >= http.StatusInternalServerError {
		shown = &failure{outcome: verdict.ClientGone, status: verdict.StatusClientGone, level: zapcore.DebugLevel, detail: shown.detail}
	}
	telemetry.Metrics.Login(issuer, shown.outcome)
	s.Audit.LoginFailed(r, issuer, shown.outcome, shown.status)
	if entry := s.Log.Check(shown.level, "a log-in failed"); entry != nil {
		entry.Write(zap.String("outcome", shown.outcome), zap.Int("status", shown.status), telemetry.Known("detail", shown.detail),
			zap.String("issuer", issuer), zap.String("client_ip", telemetry.ClientAddress(r)))
	}
	if shown.status >= http.StatusInternalServerError {
		return pageLater(w, r, max(wait, time.Second), againOf(p))
	}
	if wait > 0 {
		w.Header().Set("Retry-After", verdict.Seconds(wait))
	}
	return writePage(w, r, shown.status, &page{text: failureTexts[shown.outcome], Again: againOf(p), Home: p == nil})
}

// againOf is where a new log-in begins: where the last one was to lead.
func againOf(p *pending) string {
	if p == nil {
		return ""
	}
	return p.Return
}
