package login

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// sealLogout is what the jti of logout tokens are remembered for.
const sealLogout = "logout token"

// serveBackchannel ends what the issuer has ended (OpenID Connect Back-Channel
// Logout §2.5): it comes from the issuer itself, with no browser in between.
func (s *Site) serveBackchannel(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return notAllowed(w, r, "POST")
	}
	issuer := s.Trust.Profile.Issuer
	ended, err := s.backchannel(w, r)
	if err != nil {
		s.refuseBackchannel(w, r, err)
		return nil
	}
	telemetry.Metrics.Logout(issuer, logoutBackchannel)
	s.Log.Info("the issuer has logged somebody out", zap.Int("sessions", ended), zap.String("issuer", issuer))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Site) backchannel(w http.ResponseWriter, r *http.Request) (ended int, err error) {
	malformed := func(detail string) error { return &token.Refusal{Reason: token.Malformed, Detail: detail} }
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return 0, malformed("the body is no form")
	}
	r.Body = http.MaxBytesReader(w, r.Body, 2*token.MaxSize)
	if err := r.ParseForm(); err != nil || len(r.PostForm["logout_token"]) != 1 {
		return 0, malformed("the body has not one logout_token")
	}
	t := s.Trust
	out, err := t.VerifyLogout(r.Context(), r.PostForm.Get("logout_token"))
	if err != nil {
		return 0, err
	}
	ctx := context.WithoutCancel(r.Context())
	vault, err := s.Keeper.Open(ctx)
	if err != nil {
		return 0, err
	}
	seen, err := vault.Happened(ctx, sealLogout, t.Profile.Issuer, out.ID)
	if err != nil {
		return 0, err
	}
	if seen {
		return 0, &token.Refusal{Reason: token.ClaimWrong, Detail: "jti was seen before"}
	}
	if ended, err = vault.EndBrowsers(ctx, s.Keeper.User(t, out.Subject), out.Session, session.EndedLogout); err != nil {
		return ended, err // and the issuer may send the same token again
	}
	if err := s.Keeper.TakeBackTokens(ctx, t, endedBy(out, t)); err != nil {
		return ended, err
	}
	// Until it would be too old by itself. Two at the same moment end the same.
	_, err = vault.Once(ctx, sealLogout, s.Now().Add(2*(token.LogoutFresh+t.Profile.Skew)), t.Profile.Issuer, out.ID)
	return ended, err
}

// endedBy is what a log-out at the issuer takes back of the tokens that clients bring
// themselves: those of the session, or of the user, that it has issued until then.
// What it issues afterwards it stands by, and be it to a client for offline use.
func endedBy(out *token.Logout, t *issuers.Trust) revoked.Entry {
	e := revoked.Entry{Issuer: t.Profile.Issuer, Session: out.Session, Before: out.Issued, Source: revoked.ByBackchannel}
	if out.Session == "" {
		e.Subject = out.Subject
	}
	return e
}

// refuseBackchannel answers as §2.8 has it; a failure of ours is no verdict.
func (s *Site) refuseBackchannel(w http.ResponseWriter, r *http.Request, err error) {
	answer := &tokenrequest.Error{Status: http.StatusServiceUnavailable, Code: tokenrequest.Unavailable, Description: "try again later"}
	level := zapcore.WarnLevel
	if refusal, ok := errors.AsType[*token.Refusal](err); ok {
		answer = tokenrequest.Refuse(tokenrequest.InvalidRequest, "the logout token does not pass: "+string(refusal.Reason))
		level = zapcore.InfoLevel
	} else {
		w.Header().Set("Retry-After", verdict.Seconds(time.Second))
	}
	s.Log.Log(level, "a back-channel log-out was not done", zap.Error(err), zap.String("client_ip", telemetry.ClientAddress(r)))
	answer.Write(w, "")
}
