package tokenendpoint

import (
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/limits"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// asGateway is an issuer's answer to the gateway's own credentials: if it does
// not know them, that is no fault of the caller.
type asGateway struct{ error }

func (e asGateway) Unwrap() error { return e.error }

// asRefusal makes an error an answer of RFC 6749 §5.2, with the time after which
// to try again, and how loud to be about it. What the issuer said is passed on.
func asRefusal(err error) (refused *tokenrequest.Error, wait time.Duration, level zapcore.Level) {
	if refused, ok := errors.AsType[*tokenrequest.Error](err); ok {
		copied := *refused
		level = zapcore.InfoLevel
		if _, setting := errors.AsType[*unfit](err); setting {
			level = zapcore.WarnLevel // it goes on until a setting changes
		}
		return &copied, 0, level
	}
	if limited, ok := errors.AsType[*limits.TooMany](err); ok {
		return &tokenrequest.Error{
			Status: http.StatusTooManyRequests, Code: tokenrequest.Unavailable,
			Description: limited.Error(),
		}, limited.Wait, zapcore.WarnLevel
	}
	if _, full := errors.AsType[*session.Full](err); full {
		return &tokenrequest.Error{
			Status: http.StatusTooManyRequests, Code: tokenrequest.Unavailable,
			Description: "too many live grants: use a token until it ends, or revoke it",
		}, grants.FullWait, zapcore.WarnLevel
	}
	unavailable := &tokenrequest.Error{
		Status: http.StatusServiceUnavailable, Code: tokenrequest.Unavailable, Description: "try again later",
	}
	if down, ok := errors.AsType[*session.Unavailable](err); ok {
		return unavailable, down.RetryAfter, zapcore.WarnLevel
	}
	if later, ok := errors.AsType[*unjudged](err); ok {
		return unavailable, later.wait, zapcore.ErrorLevel
	}
	call, ok := errors.AsType[*as.CallError](err)
	if !ok {
		return unavailable, time.Second, zapcore.ErrorLevel
	}
	_, own := errors.AsType[asGateway](err)
	switch {
	case call.Code == "" || call.Status >= http.StatusInternalServerError || call.Fate == as.Unknown:
		return unavailable, max(call.RetryAfter, time.Second), zapcore.WarnLevel
	case call.Fate == as.BadClient && own:
		return unavailable, time.Minute, zapcore.ErrorLevel // the configuration has to change
	}
	refused = &tokenrequest.Error{Status: http.StatusBadRequest, Code: call.Code, Description: call.Description, URI: call.URI}
	switch {
	case call.Code == tokenrequest.InvalidClient:
		refused.Status = http.StatusUnauthorized
	case call.Status == http.StatusTooManyRequests:
		refused.Status = call.Status
	}
	return refused, call.RetryAfter, zapcore.InfoLevel
}

// failedAttempt reports whether an error counts against a client: those do that
// trying out secrets, codes or tokens brings.
func failedAttempt(err error) bool {
	if own, is := errors.AsType[asGateway](err); is {
		call, answered := errors.AsType[*as.CallError](own)
		return answered && call.Guess()
	}
	refused, _, _ := asRefusal(err)
	return refused.Code == tokenrequest.InvalidClient || refused.Code == tokenrequest.InvalidGrant
}

func detailOfToken(err error) string {
	if _, ok := errors.AsType[*as.CallError](err); ok {
		return err.Error()
	}
	if _, ok := errors.AsType[*session.Unavailable](err); ok {
		return err.Error()
	}
	if unfit, ok := errors.AsType[*unfit](err); ok {
		return unfit.detail
	}
	if refused, ok := errors.AsType[*tokenrequest.Error](err); ok {
		return refused.Description
	}
	return err.Error()
}

// realm is the realm of the Basic challenge, which must have one
// (RFC 7617 §2).
func (e *Endpoint) realm() string {
	if e.Realm != "" {
		return e.Realm
	}
	return "token endpoint"
}
