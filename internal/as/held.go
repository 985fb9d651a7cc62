package as

import (
	"context"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Held is the server's keys as they are now: who asks through it causes no
// fetch and waits for none. It is for looking, not for judging requests.
func (s *Server) Held() token.KeySource { return held{s} }

type held struct{ server *Server }

// Keys is the set in force.
func (h held) Keys(context.Context) (*token.KeySet, error) { return h.server.inForce() }

// Newer answers the set in force, which may be the same one.
func (h held) Newer(context.Context, *token.KeySet) (*token.KeySet, error) { return h.server.inForce() }
