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

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/streams"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
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
	if g.site.Shows(r) {
		if rejection, ok := errors.AsType[*verdict.Rejection](err); ok {
			return g.site.Refused(w, r, rejection)
		}
		if status == http.StatusServiceUnavailable {
			wait, _ := strconv.Atoi(w.Header().Get("Retry-After"))
			return g.site.Later(w, r, time.Duration(wait)*time.Second)
		}
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

// outcome is what becomes of a request that was not admitted.
type outcome struct {
	status         int
	reason, issuer string
	level          zapcore.Level
	challenge      *verdict.Rejection // nil: none
	retryAfter     string             // of a failure
}

// mend is what an operator does about it, where that can be said here.
func (o *outcome) mend() string {
	if o.reason == verdict.IssuerUnavailable && o.issuer != "" {
		return issuers.AskDoctor(o.issuer)
	}
	return ""
}

// outcomeOf makes one of an error. gone: the client does not wait for the answer any more.
func outcomeOf(err error, gone bool) outcome {
	if rejection, ok := errors.AsType[*verdict.Rejection](err); ok {
		o := outcome{status: rejection.Status, reason: rejection.Reason, issuer: rejection.Issuer, level: zapcore.InfoLevel}
		if rejection.Bug {
			o.level = zapcore.ErrorLevel
		}
		if o.status != http.StatusTooEarly { // which is about the connection, and not about who calls
			o.challenge = rejection
		}
		return o
	}
	// A failure is no verdict: no challenge, or clients would throw good tokens away.
	failure := verdict.FailureOf(err)
	o := outcome{
		status: http.StatusServiceUnavailable, reason: failure.Reason, issuer: failure.Issuer,
		level: zapcore.WarnLevel, retryAfter: retryAfter,
	}
	if failure.Wait > 0 {
		o.retryAfter = verdict.Seconds(failure.Wait)
	}
	switch {
	case gone:
		o.status, o.reason, o.level, o.retryAfter = verdict.StatusClientGone, verdict.ClientGone, zapcore.DebugLevel, ""
	case failure.Told:
		o.level = zapcore.DebugLevel
	case failure.Lasting:
		o.level = zapcore.ErrorLevel
	case failure.Reason == verdict.IntrospectionLimited:
		o.level = zapcore.InfoLevel // strangers cause it
	}
	return o
}

// account counts and logs a refusal and sets its headers.
func (g *Gateway) account(w http.ResponseWriter, r *http.Request, err error) (status int) {
	o := outcomeOf(err, r.Context().Err() != nil)
	if o.challenge != nil {
		w.Header().Set("WWW-Authenticate", g.challengeFor(r, o.challenge))
	}
	if o.retryAfter != "" {
		w.Header().Set("Retry-After", o.retryAfter)
	}
	w.Header().Set("Cache-Control", "no-store")
	telemetry.Metrics.Verdict(o.issuer, o.reason).Inc()
	g.refused(r, err, o.status, o.reason, o.issuer)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.auth.oauth.reason", o.reason)
	}
	if entry := g.log.Check(o.level, "refused"); entry != nil {
		entry.Write(zap.String("reason", o.reason), zap.Int("status", o.status),
			telemetry.Known("issuer", o.issuer), telemetry.Known("detail", verdict.DetailOf(err)), telemetry.Known("do", o.mend()), zap.String("client_ip", telemetry.ClientAddress(r)),
			zap.String("method", r.Method), zap.String("host", r.Host), zap.String("path", r.URL.Path))
	}
	return o.status
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
	if streams.IsGRPC(r.Header["Content-Type"]) {
		// grpc-go takes the status of an answer without a body. Of one whose last
		// frame of data is empty, as nginx's are, it says INTERNAL.
		w.WriteHeader(status)
		return
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

// errorPages reports whether handle_errors makes the page of a refusal. Then r is
// left as it may be seen there, where no rule is any more: the page may come
// from an upstream that trusts what comes from here. It gets no credential that
// proved nothing, and no wish for another protocol, of which the 101 would open
// a tunnel that was never admitted.
//
// Nothing of CONNECT gets there: the proxy sends its body without framing, and
// an upstream reads it as more requests, with any identity headers.
func (g *Gateway) errorPages(r *http.Request) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Errors == nil || len(server.Errors.Routes) == 0 || methodThere(r) == http.MethodConnect {
		return false
	}
	g.prepareForUpstream(r, credential.Presented{})
	delete(r.Header, "Upgrade")
	return true
}

// methodThere is the method that handle_errors sees: Caddy puts back the one
// that came, whatever a handler before us made of it.
func methodThere(r *http.Request) string {
	if came, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return came.Method
	}
	return r.Method
}
