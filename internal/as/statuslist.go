package as

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// The bounds of lists of statuses.
const (
	mostStatusLists   = 256       // of one issuer, that are in use
	mostStatusBytes   = 256 << 20 // of those, unpacked
	mostStatusFetches = 4         // at one time
)

// Statuses are where the lists of an issuer may be that say which of its tokens
// were taken back (Token Status List), and what they must be.
type Statuses struct {
	Origins []string // scheme://host[:port]; tokens name addresses there
	Lists   token.ListProfile
}

// StatusUnknown is a failure: what became of a token cannot be told.
type StatusUnknown struct {
	Issuer  string
	Lasting bool // until an operator does something
	Err     error
}

func (e *StatusUnknown) Error() string {
	return fmt.Sprintf("the status of a token of %s cannot be told: %v", e.Issuer, e.Err)
}

func (e *StatusUnknown) Unwrap() error { return e.Err }

var (
	errElsewhere    = errors.New("its status list is at a place that status_lists does not name")
	errTooManyLists = errors.New("the issuer's tokens name too many status lists")
	errLargeLists   = errors.New("the issuer's status lists are too large, all together")
	errListOver     = errors.New("its status list is too old")
)

// statusLists are those that tokens named not long ago.
type statusLists struct {
	all    atomic.Pointer[map[string]*statusList] // replaced as a whole: requests read it without a lock
	size   atomic.Int64                           // of all, in bytes
	places chan struct{}                          // one for each fetch under way
	stored statusStore

	mu       sync.Mutex // for replacing
	watchers []*func()  // told when one of them says another thing
}

// statusList is one list. It is fetched in the background, before it runs out,
// while tokens name it; what was good stays in force while a fetch fails.
type statusList struct {
	address string
	held    atomic.Pointer[heldStatuses] // nil: there is none yet
	used    atomic.Int64                 // when a token named it last, in seconds since 1970
	wake    chan struct{}                // asks for a fetch now

	mu      sync.Mutex
	flight  chan struct{} // closed when the fetch under way ends; nil: none is
	err     error         // why the last fetch failed; nil: it did not
	asked   time.Time     // when a request last caused a fetch
	next    time.Time     // when the next fetch begins by itself
	waiters int
	dropped bool // nobody fetches it any more
}

type heldStatuses struct {
	*token.StatusList
	fetched time.Time
	until   time.Time // then it says nothing any more
	raw     string    // to be stored; "": it is too large
}

// holdStatuses keeps a list from a moment on, for as long as stored keys serve.
func holdStatuses(list *token.StatusList, raw string, fetched time.Time) *heldStatuses {
	held := &heldStatuses{StatusList: list, fetched: fetched, until: fetched.Add(keepStored)}
	if !list.Ends.IsZero() && list.Ends.Before(held.until) {
		held.until = list.Ends
	}
	if len(raw) <= mostStoredList {
		held.raw = raw
	}
	return held
}

// Standing looks up what became of a token that was verified. An error is a
// [*token.Refusal], or a [*StatusUnknown]. It waits for the first fetch of a list,
// and, where the list does not go on so far as the token's index, for one that may
// bring a longer one; else for nothing.
func (s *Server) Standing(ctx context.Context, ref token.StatusRef) error {
	if s.cfg.Statuses == nil || ref.List == "" {
		return nil
	}
	l, err := s.statusList(ref.List)
	if err != nil {
		return err
	}
	held := l.inForce(s.cfg.Now())
	if held == nil {
		held, err = s.awaitStatuses(ctx, l, false)
	}
	if err != nil {
		return err
	}
	known, err := held.Judge(ref.Index)
	if known {
		return err
	}
	if held, err = s.awaitStatuses(ctx, l, true); err != nil {
		return err
	}
	if known, err = held.Judge(ref.Index); known {
		return err
	}
	return token.BeyondList(ref)
}

// StandingNow is Standing by what is in memory; ok is false where that does not
// tell. Nothing is fetched.
func (s *Server) StandingNow(ref token.StatusRef) (ok bool, err error) {
	if s.cfg.Statuses == nil || ref.List == "" {
		return true, nil
	}
	if l := s.statuses.find(ref.List); l != nil {
		if held := l.inForce(s.cfg.Now()); held != nil {
			return held.Judge(ref.Index)
		}
	}
	return false, nil
}

func (all *statusLists) find(address string) *statusList {
	if lists := all.all.Load(); lists != nil {
		return (*lists)[address]
	}
	return nil
}

// statusList finds a list, or begins to fetch one that no token has named before.
func (s *Server) statusList(address string) (*statusList, error) {
	now := s.cfg.Now().Unix()
	if l := s.statuses.find(address); l != nil {
		if now-l.used.Load() > 60 { // one write a minute, and not one for each request
			l.used.Store(now)
		}
		return l, nil
	}
	if err := s.mayHoldStatuses(address); err != nil {
		return nil, &StatusUnknown{s.cfg.Issuer, true, err}
	}
	s.statuses.mu.Lock()
	defer s.statuses.mu.Unlock()
	if l := s.statuses.find(address); l != nil {
		return l, nil
	}
	lists := map[string]*statusList{}
	if old := s.statuses.all.Load(); old != nil {
		if len(*old) >= mostStatusLists {
			return nil, &StatusUnknown{s.cfg.Issuer, true, errTooManyLists}
		}
		for name, one := range *old {
			lists[name] = one
		}
	}
	l := &statusList{address: address, wake: make(chan struct{}, 1), flight: make(chan struct{})}
	l.used.Store(now)
	lists[address] = l
	s.statuses.all.Store(&lists)
	go s.keepStatuses(l)
	return l, nil
}

// mayHoldStatuses keeps tokens from having other places asked than the operator
// means.
func (s *Server) mayHoldStatuses(address string) error {
	if err := CheckURL(address, s.cfg.AllowHTTP); err != nil {
		return err
	}
	u, err := url.Parse(address)
	if err != nil || !slices.Contains(s.cfg.Statuses.Origins, u.Scheme+"://"+u.Host) {
		return fmt.Errorf("%w: %.200q", errElsewhere, address)
	}
	return nil
}

func (l *statusList) inForce(now time.Time) *heldStatuses {
	if held := l.held.Load(); held != nil && now.Before(held.until) {
		return held
	}
	return nil
}

// awaitStatuses waits for the fetch under way, if one is. longer says that the
// list in force is not long enough: then it causes one, as an unknown kid does, once
// per Floor for all requests.
func (s *Server) awaitStatuses(ctx context.Context, l *statusList, longer bool) (*heldStatuses, error) {
	l.mu.Lock()
	if now := s.cfg.Now(); longer && !l.dropped && l.flight == nil && now.Sub(l.asked) >= Floor {
		l.asked, l.flight = now, make(chan struct{})
		l.wake <- struct{}{} // never full: flights are one at a time
	}
	flight, full := l.flight, l.waiters >= mostWaiters
	if flight != nil && !full {
		l.waiters++
	}
	l.mu.Unlock()
	var err error
	switch {
	case flight == nil:
	case full:
		err = errBusy
	default:
		select {
		case <-flight:
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-s.ctx.Done():
			err = errStopped
		}
	}
	l.mu.Lock()
	if flight != nil && !full {
		l.waiters--
	}
	failed := l.err
	l.mu.Unlock()
	held := l.inForce(s.cfg.Now())
	switch {
	case err == nil && longer: // with the last fetch failed, an index that is made up cannot be told from a new one
		err = failed
	case err == nil && held == nil && failed == nil:
		err = errListOver
	case err == nil && held == nil:
		err = failed
	}
	if err != nil {
		return nil, &StatusUnknown{s.cfg.Issuer, false, err}
	}
	return held, nil
}
