package as

import (
	"context"
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
