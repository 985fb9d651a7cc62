package grants

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// works reports whether the token endpoint of a grant's issuer answers at all. It
// presents a refresh token that was made up just now, which no server has
// granted, as the gateway's own client, or as one that was made up too: never as
// the client, nor with the token, of a user. A definite no means that the
// endpoint works, and stumbled over the grant.
func (v *vault) works(ctx context.Context, g session.Grant) bool {
	t, err := v.issuerOf(&g)
	if err != nil {
		return false
	}
	client := as.Client{ID: "probe-" + rand.Text(), Secret: secret.New(rand.Text())}
	if t.Client != nil {
		client = *t.Client
	}
	_, err = t.Server.Token(ctx, client, url.Values{"grant_type": {tokenrequest.RefreshToken}, "refresh_token": {rand.Text()}})
	failed, called := errors.AsType[*as.CallError](err)
	switch {
	case !called:
		return err == nil
	case failed.Fate == as.BadClient:
		return g.Kind == session.ByRunningAgain // else our own client would renew nothing either
	}
	return failed.Status >= http.StatusBadRequest && failed.Code != "" && !failed.Busy()
}
