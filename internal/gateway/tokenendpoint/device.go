package tokenendpoint

import (
	"net/url"

	"github.com/caddyoauth/caddyoauth/internal/gateway/limits"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
)

// serveDeviceAuthorization lets a device begin (RFC 8628 §3.1): it cannot ask
// the issuer itself, where the gateway's client stands for it.
func (c *call) serveDeviceAuthorization() error {
	c.grant = callDeviceAuthorization
	if err := c.public(); err != nil {
		return err
	}
	form := url.Values{}
	for _, name := range []string{"scope", "resource", "audience"} {
		if c.Form.Has(name) {
			form[name] = c.Form[name]
		}
	}
	// Each begins something at the issuer, as the gateway's client, and a client's
	// id is all that it takes to ask for it.
	begun, err := c.endpoint.Limits.Attempt(limits.AtDevice, c.ClientID, telemetry.ClientAddress(c.r))
	if err != nil {
		return err
	}
	begun.Fail()
	t := c.trust()
	if err := c.enter(); err != nil {
		return err
	}
	body, err := t.Server.DeviceAuthorization(c.r.Context(), *t.Client, form)
	if err != nil {
		return asGateway{err}
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_, _ = c.w.Write(body) // the client has gone, if anything
	return nil
}
