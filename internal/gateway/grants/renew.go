package grants

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// renew asks a grant's issuer for new tokens, once. This is the one way to the
// token endpoint for a grant that exists.
func (v *vault) renew(ctx context.Context, g session.Grant) session.Outcome {
	from := OriginOf(&g)
	t, err := v.issuerOf(&g)
	if err != nil {
		// No verdict: perhaps the configuration is on its way out or in.
		return session.NotSent{Err: err}
	}
	client, form, err := renewal(t, &g)
	if err != nil {
		return session.NotSent{Err: err}
	}
	tokens, err := t.Server.Token(ctx, client, form)
	if err == nil {
		granted := GrantedBy(t, tokens, &from)
		granted.App = v.refreshed(ctx, t, from, tokens)
		if late := t.Untimely(tokens.AccessToken); late != nil && !from.ByUser {
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

// idTokenWithin bounds how long a refresh may wait for keys that an ID token is
// proven with: nothing is stored meanwhile.
const idTokenWithin = 2 * time.Second

// maxHint bounds an ID token that is kept for logging out alone: it goes into a URL.
const maxHint = 4 << 10

// refreshed is what a grant is to remember after a refresh: the ID token that came
// with it, where its claims are used, or where it is kept for logging out, since servers
// may know none but the latest. Empty: what it remembers stays.
func (v *vault) refreshed(ctx context.Context, t *issuers.Trust, from Origin, tokens *as.Tokens) session.Secret {
	most, level := token.MaxSize, zapcore.WarnLevel
	if !from.Claims {
		most, level = maxHint, zapcore.DebugLevel
	}
	if from.IDToken == "" || tokens.IDToken.Empty() || len(tokens.IDToken.Reveal()) > most {
		return session.Secret{}
	}
	ctx, cancel := context.WithTimeout(ctx, idTokenWithin)
	defer cancel()
	if err := t.VerifyIDAgain(ctx, tokens, from.IDClaims()); err != nil {
		if keeper := v.inForce(); keeper != nil {
			keeper.Log.Log(level, "the ID token of a refresh does not pass: the one before it stays, with its claims",
				zap.String("issuer", t.Profile.Issuer), zap.Error(err))
		}
		return session.Secret{}
	}
	from.IDToken = tokens.IDToken.Reveal()
	return from.Seal()
}

// renewal is who asks, and for what. No scope is sent on a refresh: the grant's
// own is kept (RFC 6749 §6).
func renewal(t *issuers.Trust, g *session.Grant) (as.Client, url.Values, error) {
	if g.Kind == session.ByRunningAgain {
		own, err := CallerOf(g)
		if err != nil {
			return as.Client{}, nil, errors.New("the credentials of the grant cannot be read")
		}
		return own.Client(), own.Form(), nil
	}
	return *t.Client, url.Values{"grant_type": {tokenrequest.RefreshToken}, "refresh_token": {g.Refresh.Reveal()}}, nil
}

// revoke gives tokens back that will not be used (RFC 7009). With an access
// token alone, as client_credentials gives, there is little to win.
func (v *vault) revoke(ctx context.Context, g session.Grant) {
	if g.Kind != session.ByRefreshToken || g.Refresh.Empty() {
		return
	}
	t, err := v.issuerOf(&g)
	if err == nil {
		err = t.Server.Revoke(ctx, *t.Client, g.Refresh, "refresh_token")
	}
	keeper := v.inForce()
	if err == nil || keeper == nil {
		return
	}
	level := zapcore.WarnLevel
	if errors.Is(err, as.ErrNoEndpoint) {
		level = zapcore.DebugLevel // it never takes any back
	}
	keeper.Log.Log(level, "an ended grant could not be given back to its issuer", zap.String("issuer", g.Issuer), zap.Error(err))
}
