package login

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/gateway/userinfo"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

func (l *Login) uses(from string) bool { return slices.Contains(l.Claims, from) }

// untold is why a log-in does not tell who the user is, for the log; "": that is
// not what failed, or another log-in may tell.
func untold(err error, plain bool) string {
	if unfit, ok := errors.AsType[*userinfo.Unfit](err); ok {
		return unfit.Error()
	}
	if taken, ok := errors.AsType[*userinfo.NotTaken](err); ok && plain {
		return taken.Error() + " of this log-in"
	} else if ok {
		return "the userinfo endpoint answers 401 to the access token of this log-in: some issuers take none there that is for an API " +
			"(Microsoft Entra, oidc-provider), or that is lightweight (Keycloak). There write claims id_token instead of userinfo"
	}
	return ""
}

// Complete has the claims count of a log-in that what it stands for, which was
// proven, does not have: those of the ID token, and of the issuer's userinfo
// endpoint. A client's own token has none but its own. An error is a
// [*verdict.Rejection] if the endpoint does not take the access token, else a
// failure.
func (s *Site) Complete(ctx context.Context, p *token.Principal, raw string, from grants.Source) error {
	if s == nil || !from.LogIn || len(s.Block.besides()) == 0 || p.Issuer != s.Trust.Profile.Issuer || from.Issuer != p.Issuer {
		return nil
	}
	var info token.Claims
	if s.Asker != nil {
		waited := telemetry.TraceWait(ctx, telemetry.SpanUserInfo)
		var err error
		info, err = s.Asker.Ask(ctx, userinfo.Question{
			Trust: s.Trust, Token: raw, Now: s.Now,
			Grant:   from.App.Reveal(),
			Subject: from.IDSubject,
			Scope:   from.Scope,
		})
		if waited(err); err != nil {
			return err
		}
	}
	idClaims := sync.OnceValue(from.IDClaims)
	p.Beside(func(path string) any {
		for _, source := range s.Block.besides() {
			var claim any
			if source == OfUserInfo {
				claim, _ = info.Lookup(path)
			} else {
				claim = idClaims()(path)
			}
			if claim != nil {
				return claim
			}
		}
		return nil
	})
	return nil
}
