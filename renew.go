package caddyoauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// renew asks a grant's issuer for new tokens, once. This is the one way to the
// token endpoint for a grant that exists.
func (v *vault) renew(ctx context.Context, g session.Grant) session.Outcome {
	from := OriginOf(&g)
	t, err := v.lender(&g)
	if err != nil {
		// No verdict: perhaps the configuration is on its way out or in.
		return session.NotSent{Err: err}
	}
	client, form, err := t.renewal(&g)
	if err != nil {
		return session.NotSent{Err: err}
	}
	tokens, err := t.server.Token(ctx, client, form)
	if err == nil {
		granted := grantedBy(t, tokens, from.IDSubject)
		if late := t.untimely(tokens.AccessToken); late != nil {
			return session.Untimely{Answer: granted, Err: late}
		}
		return granted
	}
	failed, ok := errors.AsType[*as.CallError](err)
	if !ok {
		return session.Unknown{Err: err}
	}
	switch failed.Fate {
	case as.NotSent:
		return session.NotSent{Err: err}
	case as.Unconsumed:
		// A refusal of this one grant says that the server works. So does 429
		// to a caller that asks with credentials of its own.
		works := !failed.Busy() || failed.Status == http.StatusTooManyRequests && g.Kind == session.ByRunningAgain
		tooMany := failed.Status == http.StatusTooManyRequests || failed.Code == "slow_down"
		return session.Unconsumed{Err: err, RetryAfter: failed.RetryAfter, Works: works, TooMany: tooMany}
	case as.BadClient:
		return session.BadClient{Err: err}
	case as.Refused:
		return session.Refused{Err: err}
	}
	return session.Unknown{Err: err, Salvaged: failed.Salvaged}
}

// renewal is who asks, and for what. No scope is sent on a refresh: the grant's
// own is kept (RFC 6749 §6).
func (t *trust) renewal(g *session.Grant) (as.Client, url.Values, error) {
	if g.Kind == session.ByRunningAgain {
		var own ownCredentials
		if err := json.Unmarshal([]byte(g.Credentials.Reveal()), &own); err != nil {
			return as.Client{}, nil, errors.New("the credentials of the grant cannot be read")
		}
		return own.client(), own.form(), nil
	}
	return *t.client, url.Values{"grant_type": {grantRefreshToken}, "refresh_token": {g.Refresh.Reveal()}}, nil
}

// revoke gives tokens back that nobody will use (RFC 7009). With an access
// token alone, as client_credentials gives, there is little to win.
func (v *vault) revoke(ctx context.Context, g session.Grant) {
	if g.Kind != session.ByRefreshToken || g.Refresh.Empty() {
		return
	}
	t, err := v.lender(&g)
	if err == nil {
		err = t.server.Revoke(ctx, *t.client, g.Refresh, "refresh_token")
	}
	host := v.host()
	if err == nil || host == nil {
		return
	}
	level := zapcore.WarnLevel
	if errors.Is(err, as.ErrNoEndpoint) {
		level = zapcore.DebugLevel // it never takes any back
	}
	host.log.Log(level, "an ended grant could not be given back to its issuer", zap.String("issuer", g.Issuer), zap.Error(err))
}

// observe counts and logs what the vault does.
func (v *vault) observe(e session.Event) {
	measure.session(&e)
	v.announce(&e)
	host := v.host()
	if host == nil {
		return
	}
	var text string
	level := zapcore.DebugLevel
	switch e.Name {
	case session.EventRenewal:
		text = "refreshed a grant"
		if e.Err != nil {
			level, text = zapcore.WarnLevel, "refreshing a grant failed"
		}
		if clocksOf(e.Err) {
			level, text = zapcore.ErrorLevel, "a refresh brought an access token that is good for nothing: clocks differ"
		}
	case session.EventEnd:
		level, text = zapcore.InfoLevel, "a grant has ended"
	case session.EventReuse:
		level, text = zapcore.WarnLevel, "a reference refresh token was used twice: somebody has a copy; its grant is ended"
	case session.EventSaveError:
		level, text = zapcore.ErrorLevel, "the store did not take what a refresh has to write; what was refreshed serves from memory, and storing goes on"
	case session.EventDiscard:
		level, text = zapcore.WarnLevel, "a refresh came too late and was discarded"
	default:
		return // waiting: too many to log
	}
	if entry := host.log.Check(level, text); entry != nil {
		took := zap.Skip()
		if e.Took > 0 {
			took = zap.Duration("took", e.Took)
		}
		failure := zap.Skip()
		if e.Err != nil {
			failure = zap.Error(e.Err)
		}
		entry.Write(zap.String("sref", e.Sref), known("issuer", e.Issuer), known("outcome", e.Detail), took, failure)
	}
}

// client is the caller at the issuer.
func (o *ownCredentials) client() as.Client {
	return as.Client{ID: o.ID, Secret: secret.New(o.Secret), Method: o.Method}
}
