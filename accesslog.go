package caddyoauth

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/gateway/streams"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// serveQuietly serves a request that must not be logged as it came. Caddy has
// copied it for its access and error logs before any handler ran, so both are
// kept from writing it: the access line is skipped and ours written, and no
// error is returned.
//
// With a stray token nothing is served, and not even the path is logged.
func (g *Gateway) serveQuietly(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, stray bool) error {
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	rec := caddyhttp.NewResponseRecorder(w, nil, nil)
	var let streams.Admitted
	var err error
	if stray {
		r.URL = &url.URL{Path: "/" + secret.Hidden}
	}
	defer g.logQuietly(rec, r, time.Now(), r.URL.Path)
	if stray {
		err = verdict.StrayToken()
	} else {
		let, err = g.admit(rec, r)
	}
	if rejection := g.site.Answers(r, err); rejection != nil {
		return g.logIn(rec, r, rejection)
	}
	if err != nil {
		return g.deny(rec, r, err)
	}
	if err = g.forward(rec, r, next, let, true); err == nil {
		return nil
	}
	status := http.StatusInternalServerError
	if failed, ok := errors.AsType[caddyhttp.HandlerError](err); ok && failed.StatusCode != 0 {
		status = failed.StatusCode
	}
	level := zapcore.DebugLevel
	if status >= http.StatusInternalServerError {
		level = zapcore.ErrorLevel
	}
	g.log.Log(level, "a handler behind the gateway failed", zap.Error(err), zap.Int("status", status))
	if rec.Status() == 0 {
		rec.WriteHeader(status)
	}
	return nil
}

// quietly serves what no log may show as it came: a path of our own, for its
// query, or a redirect to the issuer. What serve answers as an error is a bug:
// it is not shown.
func (g *Gateway) quietly(serve ownHandler) ownHandler {
	return func(w http.ResponseWriter, r *http.Request) error {
		caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
		rec := caddyhttp.NewResponseRecorder(w, nil, nil)
		defer g.logQuietly(rec, r, time.Now(), r.URL.Path)
		if err := serve(rec, r); err != nil {
			g.log.Error("an own path failed", zap.Error(err), zap.String("path", r.URL.Path))
			if rec.Status() == 0 {
				rec.WriteHeader(http.StatusInternalServerError)
			}
		}
		return nil
	}
}

// refusing answers a request to one of our own paths with the reason why not.
func (g *Gateway) refusing(why func(*http.Request) error) ownHandler {
	return g.quietly(func(w http.ResponseWriter, r *http.Request) error { return g.deny(w, r, why(r)) })
}

// logQuietly is the access log's line without query and headers.
func (g *Gateway) logQuietly(rec caddyhttp.ResponseRecorder, r *http.Request, began time.Time, path string) {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Logs == nil {
		return
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	user, _ := repl.GetString("http.auth.user.id")
	g.log.Named("access").Info("handled request",
		zap.String("client_ip", telemetry.ClientAddress(r)), zap.String("proto", r.Proto), zap.String("method", r.Method),
		zap.String("host", r.Host), zap.String("path", path), zap.String("user_id", user),
		zap.Duration("duration", time.Since(began)), zap.Int("size", rec.Size()), zap.Int("status", rec.Status()))
}
