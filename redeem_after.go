package caddyoauth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// mostTokens is how many access tokens of one grant are judged for a request:
// two that a renewal has made useless meanwhile, and one more.
const mostTokens = 3

// prove judges the token that a request carries, or the one that stands behind
// it. Without a principal and without an error there is none, or no longer.
//
// An access token that the gateway refreshes is not given up for the first no of
// its issuer. Many issuers end the old one when they rotate the refresh token,
// some time before the new pair is here; then its answer tells of a refresh, and
// not of a grant that was taken back.
func (g *Gateway) prove(r *http.Request, found presented) (*token.Principal, presented, error) {
	if found.token == "" && !found.session {
		return nil, found, nil
	}
	waited := traceWait(r.Context(), spanGrant)
	found, err := g.redeem(r.Context(), found)
	waited(err)
	began := time.Now()
	for judged := 1; err == nil && found.token != ""; judged++ {
		principal, refused := g.validator.validate(r.Context(), found.token, sender{r, found.issuer})
		if refused == nil && found.isOf(principal) {
			return principal, found, nil
		}
		if refused == nil {
			found, err = g.endOfAnother(r.Context(), found)
			return nil, found, err
		}
		reason := tokenReason(refused)
		switch {
		case !found.swapped:
			return nil, found, refused
		case reason == token.NotYetValid:
			return nil, found, found.tooEarly(refused)
		case reason != token.Inactive && reason != token.Expired, judged == mostTokens, time.Since(began) > g.keeper.RefreshWait():
			return nil, found, refused
		}
		waited := traceWait(r.Context(), spanGrant)
		found, err = g.redeemAfter(r.Context(), found, refused)
		waited(err)
	}
	return nil, found, err
}

func tokenReason(err error) token.Reason {
	if rejection, ok := errors.AsType[*verdict.Rejection](err); ok {
		return token.Reason(rejection.Reason)
	}
	return ""
}

// redeemAfter finds the access token that comes after one that is inactive, or
// that has run out earlier than the issuer said when it granted it. If none will
// come, the verdict on that one stands; but one that has just come and has run
// out is nobody's fault but the clocks'.
func (g *Gateway) redeemAfter(ctx context.Context, found presented, refused error) (presented, error) {
	s, err := g.keeper.Open(ctx)
	if err != nil {
		return found, err
	}
	access, err := s.After(ctx, found.grant, session.NewSecret(found.token))
	if errors.Is(err, session.ErrYoung) && tokenReason(refused) == token.Expired {
		return found, &clocksDiffer{found.issuer, "an access token that has just come has run out: " + verdict.DetailOf(refused)}
	}
	if errors.Is(err, session.ErrLast) {
		return found, refused
	}
	return found.become(access, err)
}

// tooEarly is the failure of a gateway that holds an access token which does not
// count yet: its issuer has just made it.
func (found presented) tooEarly(refused error) error {
	return &clocksDiffer{found.issuer, "an access token that has just come does not count yet: " + verdict.DetailOf(refused)}
}
