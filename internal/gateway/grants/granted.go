package grants

import (
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// GrantedBy is an answer as the vault takes it. The subject is the access
// token's, where it can be read. An ID token is only compared with the one
// that came with the grant, idSubject, since issuers may name a user
// differently in the two: another one is another user's answer.
func GrantedBy(t *issuers.Trust, tokens *as.Tokens, idSubject string) session.Granted {
	claims := as.ClaimsOf(tokens.AccessToken)
	subject := claims.String("sub")
	if now := as.SubjectOf(tokens.IDToken); idSubject != "" && now != "" && now != idSubject {
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
