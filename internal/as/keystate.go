package as

import (
	"context"
	"fmt"
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

// KnownEndpoints are those of the metadata read last. It asks nobody.
func (s *Server) KnownEndpoints() (ends Endpoints, known bool) {
	if read := s.endpoints.Load(); read != nil {
		return *read, true
	}
	return ends, false
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

// TooSoon means that a fetch was asked for within Floor of the last one that
// somebody asked for.
type TooSoon struct{ Wait time.Duration }

func (e *TooSoon) Error() string {
	return fmt.Sprintf("keys were fetched on request just now; the next time is in %s", e.Wait.Round(time.Millisecond))
}

// Fetch makes a fetch of metadata and keys begin, or shares the one under way,
// and waits for its end. An error says why there was none or why it failed.
// It is bounded as unknown kids are: one per Floor.
func (s *Server) Fetch(ctx context.Context) error {
	before := s.Status().Tried
	s.Start()
	s.anew.Store(true)
	// The flight that ends may be the look into the storage. The one after it
	// is a fetch.
	for range 2 {
		flight, err := s.askedFlight()
		if err != nil {
			return err
		}
		if err := s.wait(ctx, flight); err != nil {
			return err
		}
		if status := s.Status(); !status.Tried.Equal(before) {
			return status.Err
		}
	}
	return errUnread
}

func (s *Server) askedFlight() (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight == nil {
		now := s.cfg.Now()
		if left := Floor - now.Sub(s.kidFetch); left > 0 {
			return nil, &TooSoon{left}
		}
		s.kidFetch = now
		s.flight = make(chan struct{})
		s.wake <- struct{}{} // never full: flights are one at a time
	}
	return s.flight, nil
}

// WouldUse is the method the client authenticates with at a server whose
// metadata list these (none: they say nothing).
func (c Client) WouldUse(offered []string) (string, error) { return c.method(offered) }
