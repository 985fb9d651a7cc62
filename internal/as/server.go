// Package as speaks to one authorization server: its metadata (RFC 8414, OpenID
// Connect Discovery), its keys (RFC 7517), and its endpoints for tokens (RFC
// 6749), revocation (RFC 7009) and devices (RFC 8628). It is the one package
// that dials. Keys are not on a request's way once there are some.
package as

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// The times of fetching keys.
const (
	Floor       = 5 * time.Second  // between fetches that unknown kids cause, and the least freshness taken
	Ceiling     = time.Hour        // the longest a document counts as fresh
	Usual       = 5 * time.Minute  // how long it does when its server does not say
	retryNone   = time.Second      // between attempts while there are no keys
	retryMost   = time.Minute      // the longest back-off while there are
	attempt     = 5 * time.Second  // for one discovery and key fetch
	keepStored  = 24 * time.Hour   // how long stored keys serve, from when they were fetched
	storeAgain  = 10 * time.Minute // between writes of an unchanged set
	mostWaiters = 256              // requests that wait for a fetch at one time
	closing     = 2 * time.Second  // that Close waits for keys on their way to the storage
)

// Config is what an authorization server is known by. It does not change.
type Config struct {
	Issuer    string         // exact text of iss and of the metadata's issuer
	Metadata  string         // URL of the metadata; "": derived from Issuer, or with JWKS there are none
	JWKS      string         // URL of the keys; "": from the metadata
	Named     Named          // endpoints that the operator names
	Bearer    Bearer         // shown to who has the metadata and keys; nil: nothing is
	Plain     bool           // it speaks OAuth 2.0 and no OpenID Connect: there are no metadata, keys and ID tokens
	Signals   bool           // it is a transmitter of events, with the metadata of one
	AllowHTTP bool           // take plain http from hosts other than loopback
	Trust     *x509.CertPool // for TLS; nil: the system's
	Statuses  *Statuses      // lists that say which tokens were taken back; nil: none are looked at
	StoreAs   string         // where the last good keys are kept in the storage

	Now       func() time.Time
	Jitter    func() float64    // in [0,1)
	Transport http.RoundTripper // nil: dial; tests bring their own

	zone func(netip.Addr) zone // nil: zoneOf; tests are all at home
}

// Unavailable is a failure: no keys to judge by. It says nothing of a token.
type Unavailable struct {
	Issuer string
	Err    error
}

func (e *Unavailable) Error() string {
	return fmt.Sprintf("no keys of %s to judge by: %v", e.Issuer, e.Err)
}

func (e *Unavailable) Unwrap() error { return e.Err }

var (
	errBusy    = errors.New("too many requests wait for a fetch of its keys")
	errTooOld  = errors.New("the stored keys are too old")
	errStorage = errors.New("the storage has not come back from the last time")
	errStopped = errors.New("the gateway has let go of this issuer")
)

// Server is one authorization server. New only allocates; Start, or the first
// request, begins to fetch; Close ends it.
type Server struct {
	cfg    Config
	client *http.Client      // fetches metadata and keys
	caller http.RoundTripper // asks endpoints
	ctx    context.Context
	stop   context.CancelFunc
	start  sync.Once
	ended  chan struct{} // closed when the loop has ended, or never will begin
	wake   chan struct{} // asks the loop for a fetch now

	current   atomic.Pointer[token.KeySet]
	endpoints atomic.Pointer[Endpoints] // of the metadata read last
	storing   atomic.Bool               // the storage is being asked
	anew      atomic.Bool               // the next fetch asks the metadata too

	mu       sync.Mutex
	envs     []*Env        // who watches and stores; the last one counts
	flight   chan struct{} // closed when the fetch under way ends; nil: none is
	waiters  int
	kidFetch time.Time // when a request last caused a fetch
	status   Status
	seen     map[string]time.Time // when each key in force was first fetched

	statuses statusLists

	fetcher // touched by the loop alone
}

// Status tells an operator how it stands with an issuer's keys.
type Status struct {
	Keys     int
	Fetched  time.Time // when the keys in force were fetched; zero: there are none
	Err      error     // why the last fetch failed; nil: it did not
	Tried    time.Time // when the last fetch began; zero: none has ended
	Next     time.Time // when the next one begins, if no request needs it earlier
	Restored bool      // the keys in force come from the storage
}

// New describes an authorization server. Nothing is dialled yet.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, ended: make(chan struct{}), wake: make(chan struct{}, 1), flight: make(chan struct{})}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.client, s.caller = newClient(cfg), newCaller(cfg)
	s.statuses.places = make(chan struct{}, mostStatusFetches)
	if !cfg.hasMetadata() && cfg.Named != (Named{}) {
		s.endpoints.Store(s.readEndpoints(nil)) // there is nothing to wait for
	}
	return s
}

// Start begins to fetch, if that has not begun, and there is anything to fetch.
func (s *Server) Start() {
	s.start.Do(func() {
		if s.cfg.Plain {
			close(s.ended)
			return
		}
		go s.run()
	})
}

// IsPlain reports whether there is nothing to fetch: no metadata, and no keys.
func (s *Server) IsPlain() bool { return s.cfg.Plain }

// Close ends all fetching. What was just fetched reaches the storage first:
// a process that ends right after they came finds them when it starts again.
func (s *Server) Close() {
	s.stop()
	s.client.CloseIdleConnections()
	s.start.Do(func() { close(s.ended) })
	flushed := make(chan struct{})
	go func() {
		defer close(flushed)
		s.flushStatuses()
	}()
	timer := time.NewTimer(closing)
	defer timer.Stop()
	for _, done := range []chan struct{}{s.ended, flushed} {
		select {
		case <-done:
		case <-timer.C: // a storage that hangs is left behind
			return
		}
	}
}

// Status is how it stands now.
func (s *Server) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Keys implements [token.KeySource]. It waits only for the very first fetch;
// after a failed one it fails at once, so that a hanging issuer does not hang
// its callers.
func (s *Server) Keys(ctx context.Context) (*token.KeySet, error) {
	if set := s.current.Load(); set != nil {
		return set, nil
	}
	s.Start()
	s.mu.Lock()
	flight, tried := s.flight, s.status.Err
	s.mu.Unlock()
	// Looked at again: stored keys may have come, and the flight be the next one.
	if tried == nil && flight != nil && s.current.Load() == nil {
		if err := s.wait(ctx, flight); err != nil {
			return nil, err
		}
	}
	return s.inForce()
}

// Newer implements [token.KeySource]. Unknown kids cause one fetch per Floor in
// all, however many there are; a request that comes while it runs shares it.
func (s *Server) Newer(ctx context.Context, set *token.KeySet) (*token.KeySet, error) {
	s.mu.Lock()
	if s.current.Load() != set {
		s.mu.Unlock()
		return s.inForce()
	}
	if s.flight == nil {
		if now := s.cfg.Now(); now.Sub(s.kidFetch) >= Floor {
			s.kidFetch = now
			s.flight = make(chan struct{})
			s.wake <- struct{}{} // never full: flights are one at a time
		}
	}
	flight := s.flight
	s.mu.Unlock()
	if flight != nil {
		// One too many to wait is judged by the keys in force, like those that
		// come within Floor of a fetch.
		if err := s.wait(ctx, flight); err != nil && !errors.Is(err, errBusy) {
			return nil, err
		}
	}
	// With the last fetch failed a forged kid cannot be told from a new key.
	if err := s.Status().Err; err != nil {
		return nil, &Unavailable{s.cfg.Issuer, err}
	}
	return s.inForce()
}

// inForce is the set that judges now. Stored keys die of age, so a caller that
// held a set may find none.
func (s *Server) inForce() (*token.KeySet, error) {
	if set := s.current.Load(); set != nil {
		return set, nil
	}
	return nil, &Unavailable{s.cfg.Issuer, s.Status().Err}
}

// wait waits for a fetch to end, with not too many others.
func (s *Server) wait(ctx context.Context, flight <-chan struct{}) error {
	s.mu.Lock()
	full := s.waiters >= mostWaiters
	if !full {
		s.waiters++
	}
	s.mu.Unlock()
	if full {
		return &Unavailable{s.cfg.Issuer, errBusy}
	}
	defer func() {
		s.mu.Lock()
		s.waiters--
		s.mu.Unlock()
	}()
	select {
	case <-flight:
		return nil
	case <-ctx.Done():
		return &Unavailable{s.cfg.Issuer, context.Cause(ctx)}
	case <-s.ctx.Done():
		return &Unavailable{s.cfg.Issuer, errStopped}
	}
}
