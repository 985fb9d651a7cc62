package tokenendpoint

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// response is an answer of RFC 6749 §5.1.
type response struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
}

// handOut keeps what the issuer granted to client, and answers references to it.
func (c *call) handOut(client as.Client, tokens *as.Tokens, asked time.Time, grant session.Grant) error {
	// What was granted is kept, or given back, also when the client hangs up.
	ctx := context.WithoutCancel(c.r.Context())
	if late := c.trust().Untimely(tokens.AccessToken); late != nil {
		grant.Refresh = tokens.RefreshToken
		c.endpoint.Keeper.GiveBack(ctx, grant) // no client will use it
		return late
	}
	first, err := c.judgeFirst(ctx, tokens)
	if err != nil {
		if _, never := errors.AsType[*unfit](err); never {
			c.giveBack(ctx, client, tokens)
		}
		return err
	}
	if token.IsOpaque(tokens.AccessToken.Reveal()) {
		grant.Subject = first.Subject // of a JWT it is read from the token itself
	}
	s, err := c.endpoint.Keeper.Open(ctx)
	if err != nil {
		return err
	}
	handle, access, err := s.Create(ctx, grant, grants.GrantedBy(c.trust(), tokens, new(grants.Origin)), asked)
	if err != nil {
		return err
	}
	if err := c.r.Context().Err(); err != nil {
		// The client hung up and will never hold the handle.
		return errors.Join(err, s.End(ctx, handle, session.EndedLogout))
	}
	var refresh session.Secret
	if renewable := grant.Kind == session.ByRunningAgain || !tokens.RefreshToken.Empty(); !renewable {
		access.End = access.Expiry // nothing comes after it
		c.endpoint.Log.Info("the issuer gave no refresh token: the grant ends with its access token",
			zap.String("issuer", grant.Issuer), zap.String("client_id", telemetry.Bounded(c.ClientID)))
	} else if c.endpoint.Block.Takes(tokenrequest.RefreshToken) {
		if refresh, err = s.StartFamily(ctx, handle); err != nil {
			return errors.Join(err, s.End(ctx, handle, session.EndedLogout)) // no client will ever hold it
		}
	}
	c.endpoint.Audit.GrantBegun(c.r, c.ClientID, c.grant, grant.Issuer, as.SubjectOf(tokens.AccessToken), s.Sref(handle.Key()))
	c.endpoint.Log.Debug("granted", zap.String("sref", s.Sref(handle.Key())), zap.String("grant_type", c.grant),
		zap.String("issuer", grant.Issuer), zap.String("client_id", telemetry.Bounded(c.ClientID)))
	c.answer(handle, access, refresh, tokens.IDToken)
	return nil
}

func (c *call) answer(handle session.Handle, access session.Access, refresh, idToken session.Secret) {
	answer := response{
		AccessToken: handle.Reveal(credential.AccessPrefix), TokenType: "Bearer", Scope: access.Scope,
		ExpiresIn: max(0, int64(time.Until(access.End)/time.Second)), IDToken: idToken.Reveal(),
	}
	if !refresh.Empty() {
		answer.RefreshToken = refresh.Reveal()
	}
	tokenrequest.WriteJSON(c.w, http.StatusOK, answer)
}
