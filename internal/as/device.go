package as

import (
	"context"
	"errors"
	"net/url"
)

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
