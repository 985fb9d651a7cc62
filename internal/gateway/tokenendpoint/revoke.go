package tokenendpoint

import (
	"errors"
	"net/http"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// What our own endpoints count beside the grant types.
const (
	callRevocation          = "revocation"
	callDeviceAuthorization = "device_authorization"
)

// serveRevocation ends the grant of a token, whichever of its tokens it is
// (RFC 7009). A token that means nothing here is no error (§2.2).
func (c *call) serveRevocation() error {
	c.grant = callRevocation
	text := c.Form.Get("token")
	if text == "" {
		return tokenrequest.Refuse(tokenrequest.InvalidRequest, "token is missing")
	}
	s, handle, err := c.proveHolder(text)
	if err != nil {
		return err
	}
	if handle != nil {
		err = s.End(c.r.Context(), *handle, session.EndedLogout)
		if err != nil && !errors.Is(err, session.ErrNoGrant) {
			return err
		}
	}
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusOK)
	return nil
}
