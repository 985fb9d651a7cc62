package caddyoauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// retryAfter is what a client is told to wait, in seconds, when there is
// nothing to judge by. Keys are asked for each second then.
const retryAfter = "2"

// refuse is the one exit of requests that were not admitted: one metric, one
// log line, one challenge.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	if rejection := g.site.Answers(r, err); rejection != nil {
		// The access log would show state and nonce, in the answer's Location.
		return g.quietly(func(w http.ResponseWriter, r *http.Request) error { return g.logIn(w, r, rejection) })(w, r)
	}
	status := g.account(w, r, err)
	if g.errorPages(r) {
		return caddyhttp.Error(status, err) // the headers stay, handle_errors makes the page
	}
	if status == http.StatusServiceUnavailable && g.site.Shows(r) {
		wait, _ := strconv.Atoi(w.Header().Get("Retry-After"))
		return g.site.Later(w, r, time.Duration(wait)*time.Second)
	}
	writeRefusal(w, r, status, err)
	return nil
}

// deny is refuse where no page is made, for people or by handle_errors.
func (g *Gateway) deny(w http.ResponseWriter, r *http.Request, err error) error {
	writeRefusal(w, r, g.account(w, r, err), err)
	return nil
}

// logIn counts and tells a refusal, and sends the browser to log in instead.
func (g *Gateway) logIn(w http.ResponseWriter, r *http.Request, rejection *verdict.Rejection) error {
	telemetry.Metrics.Verdict(rejection.Issuer, rejection.Reason).Inc()
	g.refused(r, rejection, http.StatusFound, rejection.Reason, rejection.Issuer)
	return g.site.Begin(w, r, rejection)
}

// account counts and logs a refusal and sets its headers.
func (g *Gateway) account(w http.ResponseWriter, r *http.Request, err error) (status int) {
	status, reason, issuer, level := http.StatusServiceUnavailable, verdict.InternalFailure, "", zapcore.ErrorLevel
	if rejection, ok := errors.AsType[*verdict.Rejection](err); ok {
		status, reason, issuer, level = rejection.Status, rejection.Reason, rejection.Issuer, zapcore.InfoLevel
		if rejection.Bug {
			level = zapcore.ErrorLevel
		}
		if status != http.StatusTooEarly { // which is about the connection, and not about who calls
			w.Header().Set("WWW-Authenticate", rejection.Challenge(g.realm, g.metadata.Address()))
		}
	} else {
		if down, ok := errors.AsType[*as.Unavailable](err); ok {
			reason, issuer, level = verdict.IssuerUnavailable, down.Issuer, zapcore.WarnLevel
		}
		after := retryAfter
		if later, ok := errors.AsType[*session.Unavailable](err); ok {
			reason, level, after = verdict.GrantUnavailable, zapcore.WarnLevel, verdict.Seconds(later.RetryAfter)
		}
		if clocks, ok := errors.AsType[*clocksDiffer](err); ok {
			reason, issuer, level = verdict.GrantUnavailable, clocks.issuer, zapcore.ErrorLevel
		}
		if none, ok := errors.AsType[*unasked](err); ok {
			reason, issuer, level = none.reason, none.issuer, zapcore.WarnLevel
			if none.reason == verdict.IntrospectionLimited {
				level = zapcore.InfoLevel // strangers cause it
			}
			if none.after > 0 {
				after = verdict.Seconds(none.after)
			}
		}
		if r.Context().Err() != nil {
			status, reason, level = verdict.StatusClientGone, verdict.ClientGone, zapcore.DebugLevel
		} else {
			// A failure is no verdict: no challenge, or clients would throw
			// good tokens away.
			w.Header().Set("Retry-After", after)
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	telemetry.Metrics.Verdict(issuer, reason).Inc()
	g.refused(r, err, status, reason, issuer)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.auth.oauth.reason", reason)
	}
	if entry := g.log.Check(level, "refused"); entry != nil {
		entry.Write(zap.String("reason", reason), zap.Int("status", status),
			telemetry.Known("issuer", issuer), telemetry.Known("detail", verdict.DetailOf(err)), zap.String("client_ip", telemetry.ClientAddress(r)),
			zap.String("method", r.Method), zap.String("host", r.Host), zap.String("path", r.URL.Path))
	}
	return status
}

// writeRefusal answers with a small JSON body: Caddy would write none.
func writeRefusal(w http.ResponseWriter, r *http.Request, status int, err error) {
	body := struct {
		Status      int    `json:"status"`
		Error       string `json:"error,omitempty"`
		Description string `json:"error_description,omitempty"`
	}{Status: status}
	if rejection, ok := errors.AsType[*verdict.Rejection](err); ok {
		body.Error, body.Description = rejection.Code, rejection.Description
	} else {
		body.Error = "temporarily_unavailable"
	}
	text, _ := json.Marshal(body) // plain strings and a number always encode
	text = append(text, '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(text) // the client has gone, if anything
	}
}
