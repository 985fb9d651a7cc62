package as

import (
	"context"
	"errors"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// KeyState is a key in force and since when the server has seen it.
type KeyState struct {
	token.KeyInfo
	Since time.Time
}

// KeyStates tells of the keys in force, where these algorithms are configured.
func (s *Server) KeyStates(configured token.Algorithms) []KeyState {
	infos := s.current.Load().InfosFor(configured)
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]KeyState, len(infos))
	for i, info := range infos {
		all[i] = KeyState{info, s.seen[info.Print]}
	}
	return all
}

// noteAges remembers since when keys are there, and forgets those that are
// not. s.mu is held.
func (s *Server) noteAges(set *token.KeySet, fetched time.Time) {
	seen := make(map[string]time.Time, set.Len())
	for _, key := range set.Infos() {
		seen[key.Print] = fetched
		if before, ok := s.seen[key.Print]; ok {
			seen[key.Print] = before
		}
	}
	s.seen = seen
}

// without are the keys of set that other does not have.
func without(set, other *token.KeySet) (only []token.KeyInfo) {
	has := make(map[string]bool, other.Len())
	for _, key := range other.Infos() {
		has[key.Print] = true
	}
	for _, key := range set.Infos() {
		if !has[key.Print] {
			only = append(only, key)
		}
	}
	return only
}

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
// fetch failed a forged kid cannot be told from a new key.
func (h held) Newer(context.Context, *token.KeySet) (*token.KeySet, error) {
	if err := h.server.Status().Err; err != nil {
		return nil, &Unavailable{h.server.cfg.Issuer, err}
	}
	return h.server.inForce()
}
