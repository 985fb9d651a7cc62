package issuers

import (
	"context"
	"errors"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// VerifyID proves the ID token of a log-in that has just come with tokens, as
// the answer to a nonce (OpenID Connect Core §3.1.3.7). An error is a
// [*token.Refusal], or a failure: of clocks that differ, or to judge.
func (t *Trust) VerifyID(ctx context.Context, tokens *as.Tokens, nonce string) (*token.ID, error) {
	id, err := t.login().VerifyID(ctx, tokens.IDToken.Reveal(), nonce, tokens.AccessToken.Reveal(), t.now())
	if refusal, ok := errors.AsType[*token.Refusal](err); ok && ByTime(string(refusal.Reason)) && !t.agrees(tokens.IDToken) {
		return nil, &ClocksDiffer{Issuer: t.Profile.Issuer, How: "a fresh ID token does not pass: " + refusal.Error()}
	}
	return id, err
}

// VerifyIDAgain proves the ID token that came with a refresh: that it is of the
// user and the log-in of the one before it. An error is as with VerifyID.
func (t *Trust) VerifyIDAgain(ctx context.Context, tokens *as.Tokens, before token.Claims) error {
	return t.login().VerifyIDAgain(ctx, tokens.IDToken.Reveal(), before, tokens.AccessToken.Reveal(), t.now())
}

// ReadUserInfo reads an answer of the issuer's userinfo endpoint. An error is a
// [*token.Refusal] of the answer, or a failure to judge.
func (t *Trust) ReadUserInfo(ctx context.Context, body string) (token.Claims, error) {
	return t.login().ReadUserInfo(ctx, body, t.now())
}

// VerifyLogout proves a logout token (OpenID Connect Back-Channel Logout §2.6),
// but for its jti, which may have been seen before. An error is a
// [*token.Refusal], or a failure to judge.
func (t *Trust) VerifyLogout(ctx context.Context, raw string) (*token.Logout, error) {
	return t.login().VerifyLogout(ctx, raw, t.now())
}

// login is what ID and logout tokens of the issuer must be.
func (t *Trust) login() *token.Login {
	return &token.Login{
		Issuer: t.Profile.Issuer, ClientID: t.Client.ID, Algorithms: t.Profile.Algorithms,
		Skew: t.Profile.Skew, Keys: t.Profile.Keys,
	}
}
