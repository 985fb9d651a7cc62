package login

import (
	"context"
	"errors"
	"net/http"

	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/userinfo"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// who is who has logged in: by the ID token, which has to be there and to answer
// this log-in, or, where the issuer has none, by what it says of the access token.
// That came straight from the issuer, for a code of this log-in.
func (s *Site) who(ctx context.Context, p *pending, tokens *as.Tokens) (*token.ID, error) {
	t := s.Trust
	if t.User != nil {
		subject, err := s.Asker.Who(ctx, userinfo.Question{Trust: t, Token: tokens.AccessToken.Reveal(), Scope: s.grantedScope(tokens), Now: s.Now})
		if why := untold(err, t.User != nil); why != "" {
			return nil, &failure{outcome: outcomeUserInfo, status: http.StatusForbidden, level: zapcore.ErrorLevel, detail: why}
		}
		if err != nil {
			return nil, err
		}
		return &token.ID{Subject: subject}, nil
	}
	if tokens.IDToken.Empty() {
		return nil, &failure{
			outcome: outcomeIDToken, status: http.StatusForbidden, level: zapcore.ErrorLevel,
			detail: "the issuer gave no ID token: it has to know the scope openid for this client",
		}
	}
	id, err := t.VerifyID(ctx, tokens, p.Nonce)
	if refusal, ok := errors.AsType[*token.Refusal](err); ok {
		return nil, &failure{
			outcome: outcomeIDToken, status: http.StatusForbidden, level: zapcore.ErrorLevel,
			detail: "the ID token does not pass: " + refusal.Error(),
		}
	} else if err != nil {
		return nil, err
	}
	return id, nil
}
