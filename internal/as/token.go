package as

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// Tokens is a good answer of the token endpoint (RFC 6749 §5.1).
type Tokens struct {
	AccessToken  secret.Text
	RefreshToken secret.Text // empty: there is no new one
	IDToken      secret.Text // not looked at
	TokenType    string      // Bearer
	// ExpiresIn is what the server said, zero and less included; nil if it said
	// nothing, or nothing that is a number.
	ExpiresIn *time.Duration
	Scope     *string // nil: what was asked for
}

// Token asks the token endpoint once (RFC 6749 §4, §6). Every error is a
// [*CallError].
func (s *Server) Token(ctx context.Context, client Client, form url.Values) (*Tokens, error) {
	r, failed := s.post(ctx, client, "token endpoint", func(e Endpoints) string { return e.Token }, form)
	if failed != nil {
		return nil, failed
	}
	tokens, failed := r.tokens(form.Get("grant_type"))
	if failed != nil {
		return nil, failed
	}
	return tokens, nil
}

func (r *response) tokens(grant string) (*Tokens, *CallError) {
	members, failed := r.judge(grant)
	if failed != nil {
		return nil, failed
	}
	// Some servers (GitHub) say 200 and mean an error.
	if code, _ := members["error"].(string); code != "" {
		if members["access_token"] == nil && members["refresh_token"] == nil {
			if e := r.refused(members, grant); e.Fate != Unknown {
				return nil, e
			}
		}
		return nil, r.unusable(errors.New("an error and more, or one that cannot be read"))
	}
	tokens, err := readTokens(members)
	if err != nil {
		return nil, r.unusable(err)
	}
	return tokens, nil
}
