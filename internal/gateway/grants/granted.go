package grants

import (
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// GrantedBy is an answer as the vault takes it, to a grant that began so. The
// subject is the access token's, where it can be read, and counts here. An ID token
// is only compared with the one that came with the grant, since issuers may name a
// user differently in the two: another one is another user's answer.
func GrantedBy(t *issuers.Trust, tokens *as.Tokens, from *Origin) session.Granted {
	var claims token.Claims
	if !from.ByUser { // else nothing of it is read
		claims = as.ClaimsOf(tokens.AccessToken)
	}
	subject := claims.String("sub")
	if now := as.SubjectOf(tokens.IDToken); from.IDSubject != "" && now != "" && now != from.IDSubject {
		subject = "another: " + now
	}
	times := claims.Times()
	var life time.Duration
	if !times.Issued.IsZero() && times.Ends.After(times.Issued) {
		life = times.Ends.Sub(times.Issued)
	}
	return session.Granted{
		AccessToken: tokens.AccessToken, Refresh: tokens.RefreshToken, ExpiresIn: tokens.ExpiresIn,
		Ends: times.Ends, Life: life, Grace: t.Profile.Skew,
		Scope: tokens.Scope, Subject: subject,
	}
}
