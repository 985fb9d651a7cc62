package as

import (
	"context"
	"errors"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Held is the server's keys as they are now: who asks through it causes no
// fetch and waits for none. It is for looking, not for judging requests.
func (s *Server) Held() token.KeySource { return held{s} }

type held struct{ server *Server }

// Keys is the set in force.
func (h held) Keys(context.Context) (*token.KeySet, error) {
	if h.server.current.Load() == nil && h.server.Status().Err == nil {
		return nil, &Unavailable{h.server.cfg.Issuer, errors.New("none have been fetched yet")}
	}
	return h.server.inForce()
}

// Newer answers the set in force, which may be the same one. With the last
// fetch failed nobody can tell a forged kid from a new key.
func (h held) Newer(context.Context, *token.KeySet) (*token.KeySet, error) {
	if err := h.server.Status().Err; err != nil {
		return nil, &Unavailable{h.server.cfg.Issuer, err}
	}
	return h.server.inForce()
}
