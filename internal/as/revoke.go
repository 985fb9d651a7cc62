package as

import (
	"context"
	"errors"
	"net/url"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// Revoke ends a token (RFC 7009). hint is access_token, refresh_token or "".
// Every error is a [*CallError]; where the server revokes nothing, one that is
// [ErrNoEndpoint].
func (s *Server) Revoke(ctx context.Context, client Client, token secret.Text, hint string) error {
	form := url.Values{"token": {token.Reveal()}}
	if hint != "" {
		form.Set("token_type_hint", hint)
	}
	r, failed := s.post(ctx, client, "revocation endpoint", func(e Endpoints) string { return e.Revocation }, form)
	if failed != nil {
		return failed
	}
	if r.status < 200 || r.status > 299 { // the body of a good answer means nothing (§2.2)
		_, failed = r.judge("")
		return failed
	}
	return nil
}

// DeviceAuthorization begins a device grant (RFC 8628 §3.1). It answers the
// server's JSON as it came, which has a device_code and a user_code. Every
// error is a [*CallError].
func (s *Server) DeviceAuthorization(ctx context.Context, client Client, form url.Values) ([]byte, error) {
	address := func(e Endpoints) string { return e.DeviceAuthorization }
	r, failed := s.post(ctx, client, "device authorization endpoint", address, form)
	if failed != nil {
		return nil, failed
	}
	members, failed := r.judge("")
	if failed != nil {
		return nil, failed
	}
	for _, name := range []string{"device_code", "user_code"} {
		if code, ok := text(members[name], maxToken); !ok || code == "" {
			return nil, r.unusable(errors.New("no device_code or no user_code"))
		}
	}
	return r.body, nil
}
