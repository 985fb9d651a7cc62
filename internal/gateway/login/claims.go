package login

import (
	"context"
	"slices"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/gateway/userinfo"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

func (l *Login) uses(from string) bool { return slices.Contains(l.Claims, from) }

// AsksUserInfo reports whether the issuer's userinfo endpoint is asked.
func (l *Login) AsksUserInfo() bool { return l.uses(OfUserInfo) }

// Complete has the claims count of a log-in that its access token, which was
// proven, does not have: those of the ID token, and of the issuer's userinfo
// endpoint. A client's own token has none but its own. An error is a
// [*verdict.Rejection] if the endpoint does not take the access token, else a
// failure.
func (s *Site) Complete(ctx context.Context, p *token.Principal, raw string, from grants.Source) error {
	if s == nil || !from.LogIn || len(s.Block.Claims) == 0 || p.Issuer != s.Trust.Profile.Issuer || from.Issuer != p.Issuer {
		return nil
	}
	var info token.Claims
	if s.Asker != nil {
		waited := telemetry.TraceWait(ctx, telemetry.SpanUserInfo)
		var err error
		info, err = s.Asker.Ask(ctx, userinfo.Question{
			Trust: s.Trust, Token: raw, Now: s.Now,
			Subject: func() string { return from.Origin().IDSubject },
		})
		if waited(err); err != nil {
			return err
		}
	}
	p.Beside(func() (all []token.Claims) {
		for _, source := range s.Block.Claims {
			if source == OfUserInfo {
				all = append(all, info)
				continue
			}
			origin := from.Origin()
			all = append(all, origin.IDClaims().OfUser())
		}
		return all
	})
	return nil
}
