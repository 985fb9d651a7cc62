package as

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// fetcher is what the loop remembers from one fetch to the next.
type fetcher struct {
	keysURL   string               // from the metadata
	keysFrom  zone                 // where these came from
	metaAt    string               // where the metadata were read
	metaUntil time.Time            // when they stop being fresh
	documents map[string]*document // the metadata of each place, as it gave them last
	differ    []string             // where they contradicted each other then
	doc       []byte               // the last good key document
	named     []string             // algorithms that the metadata named then
	stored    time.Time            // when it was last written to the storage
	failures  int                  // in a row
	restored  bool                 // the keys in force come from the storage
}

// run is the one goroutine that fetches: one fetch at a time by construction.
func (s *Server) run() {
	defer close(s.ended)
	if s.restore() {
		s.land() // there is something to judge by: no request need wait for the first fetch
	}
	for {
		timer := time.NewTimer(s.fetch())
		select {
		case <-s.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-s.wake:
			timer.Stop()
		}
	}
}

// land ends the fetch under way: the requests that wait for it go on.
func (s *Server) land() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.flight)
	s.flight = nil
}

// fetch makes one attempt, tells the waiting requests and answers how long to
// wait before the next one.
func (s *Server) fetch() time.Duration {
	s.mu.Lock()
	if s.flight == nil {
		s.flight = make(chan struct{})
	}
	s.mu.Unlock()

	began := s.cfg.Now()
	if s.anew.Swap(false) {
		s.metaUntil, s.documents = time.Time{}, nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.within(attempt))
	doc, fresh, err := s.fetchKeys(ctx)
	cancel()
	event := Event{Op: OpFetch, Err: err}
	if err == nil {
		err = s.accept(&event, doc, began)
		event.Err = err
	}
	event.Held = err != nil && s.current.Load() != nil
	next := s.schedule(fresh, err)
	event.Took = s.cfg.Now().Sub(began)

	// A kid that asked while this fetch ran is served by it.
	select {
	case <-s.wake:
	default:
	}
	storage := s.env().Storage // as attached for this fetch: once it has landed, Close may come
	s.mu.Lock()
	event.Turned = (err == nil) != (s.status.Err == nil)
	s.status.Err, s.status.Tried, s.status.Next = err, began, s.cfg.Now().Add(next)
	s.mu.Unlock()
	s.land()
	if s.ctx.Err() == nil {
		s.observe(event)
	}
	if err == nil {
		s.store(storage, doc, event.Changed, began)
	}
	return next
}

// signingAlgorithms are those that the metadata name, if there are any.
func (s *Server) signingAlgorithms() []string {
	if ends := s.endpoints.Load(); ends != nil {
		return ends.SigningAlgorithms
	}
	return nil
}

// accept puts a good document in force, whole: keys that are not in it die.
func (s *Server) accept(event *Event, doc []byte, fetched time.Time) error {
	named := s.signingAlgorithms()
	set, skipped, err := token.ParseKeySet(doc, named...)
	event.Skipped = skipped
	if err != nil {
		return err
	}
	event.Keys, event.Changed = set.Len(), !bytes.Equal(doc, s.doc)
	if old := s.current.Load(); old != nil && event.Changed {
		event.Added, event.Removed = without(set, old), without(old, set)
	}
	if !slices.Equal(named, s.named) {
		s.stored = time.Time{} // they are stored with the keys
	}
	s.doc, s.named, s.failures, s.restored = doc, named, 0, false
	s.put(token.Replace(s.current.Load(), set), fetched)
	return nil
}

func (s *Server) put(set *token.KeySet, fetched time.Time) {
	s.current.Store(set)
	s.mu.Lock()
	s.status.Fetched, s.status.Keys, s.status.Restored = fetched, set.Len(), s.restored
	s.noteAges(set, fetched)
	s.mu.Unlock()
}

// schedule says when to fetch again: before a good answer runs out, soon after
// a bad one, and each second while there is nothing to judge by.
func (s *Server) schedule(fresh time.Duration, err error) time.Duration {
	if err == nil {
		// Between 80 and 90 per cent of the freshness, so that gateways
		// started together do not stay together.
		return max(Floor, time.Duration(float64(fresh)*(0.8+0.1*s.cfg.Jitter())))
	}
	s.metaUntil = time.Time{} // perhaps they have moved: ask the metadata again
	s.failures++
	if s.restored && s.within(keepStored) <= 0 {
		s.restored = false
		s.put(token.Replace(s.current.Load(), nil), time.Time{})
		s.observe(Event{Op: OpRestore, Err: errTooOld})
	}
	if s.current.Load() == nil {
		return retryNone
	}
	backoff := min(Floor<<min(s.failures-1, 10), retryMost)
	return s.within(time.Duration(float64(backoff) * (0.75 + 0.25*s.cfg.Jitter())))
}

// within cuts d to the time that stored keys have left, so that they die when
// they must and not with the fetch after that.
func (s *Server) within(d time.Duration) time.Duration {
	if !s.restored {
		return d
	}
	return min(d, s.Status().Fetched.Add(keepStored).Sub(s.cfg.Now()))
}

// fetchKeys asks the issuer, by way of its metadata unless the address of the
// keys is configured or still fresh.
func (s *Server) fetchKeys(ctx context.Context) (doc []byte, fresh time.Duration, err error) {
	if s.cfg.hasMetadata() && !s.cfg.Now().Before(s.metaUntil) {
		err := s.discover(ctx)
		switch {
		case err != nil && s.cfg.JWKS == "":
			return nil, 0, err
		case err != nil: // tokens are judged all the same
			s.observe(Event{Op: OpMetadata, Err: err})
		}
	}
	return s.getKeys(ctx)
}

// getKeys asks for the keys where they are.
func (s *Server) getKeys(ctx context.Context) (doc []byte, fresh time.Duration, err error) {
	if s.cfg.JWKS != "" {
		ctx, _ = allowAnyAddress(ctx, s.cfg.dialing().zone)
		return s.get(ctx, s.cfg.JWKS)
	}
	return s.get(restrictAddress(ctx, s.keysFrom), s.keysURL)
}

// TooSoon means that a fetch was asked for within Floor of the last one that
// was made on request.
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
		flight, err := s.requestedFlight()
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

func (s *Server) requestedFlight() (<-chan struct{}, error) {
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
