package revocation

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Endpoint is where all that a user was granted is taken back
// (draft-parecki-oauth-global-token-revocation).
type Endpoint struct {
	Block  *Revocation // nil: there is no endpoint
	Issuer string      // whose users secret is good for
	Named  func(issuer string) string
	Log    *zap.Logger

	// Prove proves an access token. An error is a rejection or a failure.
	Prove func(ctx context.Context, raw string, r *http.Request) (*token.Principal, error)
	// Assertion is what a JWT of an issuer must be that it shows here, but for its
	// audience; nil: no such issuer is known.
	Assertion func(issuer string) *token.Assertion
	Now       func() time.Time
	Memory    Memory // nil: this process's alone
	// TakeBack does it, and counts the grants that it ended at once.
	TakeBack func(ctx context.Context, e revoked.Entry) (ended int, err error)
}

// Handler finds what answers a request to the endpoint's path, or nil.
func (e *Endpoint) Handler(r *http.Request) caddyhttp.HandlerFunc {
	if e == nil || e.Block == nil || e.Block.Endpoint == "" || !strings.EqualFold(e.Block.Endpoint, r.URL.Path) {
		return nil
	}
	return e.serve
}

// refusal is an answer that is no 204.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func (e *Endpoint) serve(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	subject, ended, err := e.take(w, r)
	if err == nil {
		e.Log.Info("all that a user was granted was taken back", zap.Int("grants", ended), zap.String("issuer", subject.Issuer),
			zap.String("client_ip", telemetry.ClientAddress(r)))
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	answer := &refusal{http.StatusServiceUnavailable, "try again later"}
	if known, ok := errors.AsType[*refusal](err); ok {
		answer = known
	} else if rejection, ok := errors.AsType[*verdict.Rejection](err); ok {
		answer = &refusal{http.StatusUnauthorized, "the token does not pass: " + rejection.Reason}
	} else {
		w.Header().Set("Retry-After", verdict.Seconds(time.Second))
	}
	switch answer.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusForbidden:
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer error=%q, scope=%q", verdict.InsufficientScope, strings.Join(e.Block.Scope, " ")))
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	}
	e.Log.Info("a global token revocation was not done", zap.Int("status", answer.status), zap.Error(err), zap.String("client_ip", telemetry.ClientAddress(r)))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(answer.status)
	_, _ = io.WriteString(w, answer.text+"\n")
	return nil
}

func (e *Endpoint) take(w http.ResponseWriter, r *http.Request) (entry revoked.Entry, ended int, err error) {
	if r.Method != http.MethodPost {
		return entry, 0, &refusal{http.StatusMethodNotAllowed, "POST alone"}
	}
	caller, err := e.caller(r)
	if err != nil {
		return entry, 0, err
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return entry, 0, &refusal{http.StatusBadRequest, "the body is not application/json"}
	}
	doc, err := io.ReadAll(http.MaxBytesReader(w, r.Body, token.MaxSize))
	if err != nil {
		return entry, 0, &refusal{http.StatusBadRequest, "the body cannot be read, or is too large"}
	}
	body, err := token.ParseObject(string(doc))
	if err != nil {
		return entry, 0, &refusal{http.StatusBadRequest, "the body is no JSON object"}
	}
	about, has := body["sub_id"]
	if !has {
		about = body["subject"] // as drafts before 03 have it, and Okta's and Auth0's pages
	}
	subject, err := e.subject(about, caller.issuer)
	if err != nil {
		return entry, 0, err
	}
	entry = revoked.Entry{Issuer: caller.issuer, Subject: subject, Before: time.Now(), Source: revoked.ByEndpoint}
	ctx := context.WithoutCancel(r.Context())
	if err := e.once(ctx, caller); err != nil {
		return entry, 0, err
	}
	if ended, err = e.TakeBack(ctx, entry); err != nil {
		e.again(ctx, caller)
	}
	return entry, ended, err
}

// caller is who asks.
type caller struct {
	issuer string    // whose users who asks may log out
	jti    string    // of the assertion that says so; "": it was none
	until  time.Time // it counts, if it was not seen
}

func (e *Endpoint) caller(r *http.Request) (who caller, err error) {
	raw, err := bearer(r)
	if err != nil {
		return who, err
	}
	if e.Block.secret != "" {
		want, got := sha256.Sum256([]byte(e.Block.secret)), sha256.Sum256([]byte(raw))
		if subtle.ConstantTimeCompare(want[:], got[:]) == 1 {
			return caller{issuer: e.Issuer}, nil
		}
	}
	if u, is := token.IsAssertion(raw); is && len(e.Block.JWTAudience) > 0 {
		return e.asserted(r.Context(), u)
	}
	if len(e.Block.Scope) == 0 {
		return who, &refusal{http.StatusUnauthorized, "what is shown as Bearer is not taken here"}
	}
	p, err := e.Prove(r.Context(), raw, r)
	if err != nil {
		return who, err
	}
	for _, word := range e.Block.Scope {
		if !p.HasScope(word) {
			return who, &refusal{http.StatusForbidden, "the token lacks scope " + word}
		}
	}
	return caller{issuer: p.Issuer}, nil
}

// bearer is what is shown.
func bearer(r *http.Request) (raw string, err error) {
	fields := r.Header.Values("Authorization")
	if len(fields) != 1 {
		return "", &refusal{http.StatusUnauthorized, "exactly one Authorization header is expected"}
	}
	scheme, raw, _ := strings.Cut(fields[0], " ")
	if raw = strings.TrimLeft(raw, " "); !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return "", &refusal{http.StatusUnauthorized, "a Bearer token is expected"}
	}
	return raw, nil
}

// subject reads whom it is about (RFC 9493 §3). What an issuer calls its user is
// all that tokens tell users by.
func (e *Endpoint) subject(of any, issuer string) (string, error) {
	id, ok := of.(map[string]any)
	if !ok {
		return "", &refusal{http.StatusBadRequest, "sub_id is no object"}
	}
	text := func(name string) string { s, _ := id[name].(string); return s }
	var subject string
	switch format := text("format"); format {
	case "opaque":
		subject = text("id")
	case "email":
		if !e.Block.EmailAsSub {
			return "", &refusal{http.StatusUnprocessableEntity, "users are not told by email here"}
		}
		subject = text("email")
	case "iss_sub":
		subject = text("sub")
		if named := text("iss"); e.Named(named) != issuer {
			return "", &refusal{http.StatusNotFound, "no user of that issuer is known to who asks"}
		}
	case "":
		return "", &refusal{http.StatusBadRequest, "sub_id has no format"}
	default:
		return "", &refusal{http.StatusUnprocessableEntity, "users are told by iss_sub and opaque alone"}
	}
	if subject == "" {
		return "", &refusal{http.StatusBadRequest, "sub_id names no user"}
	}
	return subject, nil
}
