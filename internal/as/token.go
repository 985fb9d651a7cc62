package as

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/token"
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
	if s.cfg.Plain {
		tokens.IDToken = secret.Text{} // nothing could prove it
		if tokens.Scope != nil {       // GitHub, Facebook and Slack have commas between the words
			tokens.Scope = new(strings.ReplaceAll(*tokens.Scope, ",", " "))
		}
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

// ClaimsOf reads a JWT that came straight from the server, or nothing. It proves
// nothing: whom a request speaks for is not read here.
func ClaimsOf(text secret.Text) token.Claims {
	if text.Empty() || len(text.Reveal()) > token.MaxSize || strings.Count(text.Reveal(), ".") != 2 {
		return nil
	}
	claims, err := token.PayloadClaims(text.Reveal())
	if err != nil {
		return nil
	}
	return claims
}

// SubjectOf reads the subject of a JWT that came straight from the server.
func SubjectOf(text secret.Text) string { return ClaimsOf(text).String("sub") }
