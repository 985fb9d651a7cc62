package session

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrNoGrant is a verdict: nothing belongs to this handle, or no longer.
var ErrNoGrant = errors.New("no such grant, or it has ended")

// Unavailable is a failure of ours, of the store or of the AS. It says nothing
// of the grant: ask again.
type Unavailable struct {
	RetryAfter time.Duration
	Err        error
}

func (u *Unavailable) Error() string { return fmt.Sprintf("the grant cannot be served now: %v", u.Err) }
func (u *Unavailable) Unwrap() error { return u.Err }

// Access is what a grant is good for at the moment.
type Access struct {
	Token   Secret
	Expiry  time.Time // of the token
	End     time.Time // of the grant
	Scope   string
	Subject string
	Issuer  string
	Client  string
	App     Secret
	Key     Key
	// Unsaved: the token came after a renewal whose outcome the store has not
	// taken yet. It serves, and the write goes on.
	Unsaved bool
}

// Vault coordinates the grants of one store for one node.
type Vault struct {
	store Store
	cfg   atomic.Pointer[config]
	brk   breakers
	base  context.Context // of the writes that go on; ended by Close
	stop  context.CancelFunc
	work  sync.WaitGroup // flights, writes that go on, marks of last use

	mu      sync.Mutex
	closed  bool
	flights map[Key]*flight
	unsaved map[Key]*saving
	marking map[Key]struct{}
	waiters int // of all flights together
}

type config struct {
	ring *Keyring
	o    Options
}

// New makes a vault over a store that others may use too. It asks nothing of
// the store.
func New(store Store, ring *Keyring, options Options) (*Vault, error) {
	v := &Vault{
		store: store, flights: map[Key]*flight{}, unsaved: map[Key]*saving{}, marking: map[Key]struct{}{},
	}
	if err := v.Apply(ring, options); err != nil {
		return nil, err
	}
	v.base, v.stop = context.WithCancel(context.Background())
	return v, nil
}

// Apply takes another keyring and other options. Flights under way go on with
// what they began with.
func (v *Vault) Apply(ring *Keyring, options Options) error {
	if now := v.cfg.Load(); now != nil && options.Node == (ID{}) {
		options.Node = now.o.Node
	}
	o, err := options.complete()
	if err != nil {
		return err
	}
	if ring == nil {
		return errors.New("a vault needs a keyring")
	}
	v.cfg.Store(&config{ring, o})
	return nil
}

// Close starts nothing more, and waits until flights have landed and what they
// brought is written, or ctx ends.
func (v *Vault) Close(ctx context.Context) error {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	defer v.stop()
	done := make(chan struct{})
	go func() { v.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		v.mu.Lock()
		defer v.mu.Unlock()
		return fmt.Errorf("closing the vault with %d flights and %d unsaved grants: %w", len(v.flights), len(v.unsaved), ctx.Err())
	}
}

// view is a row that its handle has opened.
type view struct {
	row     Row
	grant   Grant
	unsaved bool
}

func (w *view) access() Access {
	g := &w.grant
	return Access{
		Token: g.AccessToken, Expiry: g.Expiry, End: g.End, Scope: g.Scope, Subject: g.Subject,
		Issuer: g.Issuer, Client: g.Client, App: g.App, Key: w.row.Key, Unsaved: w.unsaved,
	}
}

// look reads and opens the handle's row, and ends it if its time has come.
func (v *Vault) look(ctx context.Context, c *config, h Handle) (view, error) {
	row, err := v.load(ctx, c, h.Key())
	s := v.savingOf(h)
	var w view
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && (row.Dead || row.Purpose != ForGrant):
		return view{}, ErrNoGrant
	case err != nil && s == nil:
		return view{}, &Unavailable{time.Second, fmt.Errorf("reading a record: %w", err)}
	case err != nil:
		w = view{s.row, *s.pair, true}
	case s != nil && row.Version() == s.old:
		w = view{row, *s.pair, true}
	default:
		grant, err := c.ring.open(h, row.Generation, row.Sealed)
		if errors.Is(err, errShut) {
			return view{}, ErrNoGrant
		}
		if err != nil {
			return view{}, &Unavailable{time.Minute, err}
		}
		w = view{row, grant, false}
	}
	now, reason := c.o.Now(), ""
	if !now.Before(w.grant.End) {
		reason = EndedMax
	} else if !now.Before(w.row.LastUsed.Add(c.o.Idle)) {
		reason = EndedIdle
	}
	if reason != "" {
		v.mark(ctx, c, tombstone(w.row, reason), w.row.Version())
		return view{}, ErrNoGrant
	}
	return w, nil
}

// savingOf finds a pair that this node holds and the store does not.
func (v *Vault) savingOf(h Handle) *saving {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.unsaved[h.Key()]
	if s == nil || s.pair == nil || subtle.ConstantTimeCompare(s.handle.parts().secret[:], h.parts().secret[:]) != 1 {
		return nil
	}
	return s
}

func (c *config) shift(key Key) byte { return key[0] ^ c.o.Node[0] }

func (c *config) phase(w *view) phase { return c.o.phase(&w.grant, c.shift(w.row.Key), c.o.Now()) }

// Token answers a live AT of the handle's grant. The error is ErrNoGrant, an
// *Unavailable, or that of ctx.
func (v *Vault) Token(ctx context.Context, h Handle) (Access, error) {
	c := v.cfg.Load()
	w, err := v.look(ctx, c, h)
	if err != nil {
		return Access{}, err
	}
	switch c.phase(&w) {
	case fresh:
		v.used(ctx, c, &w)
		return w.access(), nil
	case due:
		v.renewBehind(ctx, c, h, &w)
		return w.access(), nil
	}
	patience := c.o.RefreshWait
	if left := w.grant.Expiry.Sub(c.o.Now()); left > 0 {
		patience = min(patience, left/2) // it still lives: no reason to wait until it does not
	}
	access, err := v.wait(ctx, c, h, w.grant.Issuer, patience)
	if err == nil && !access.Expiry.After(c.o.Now()) {
		return Access{}, unavailable(0, "the access token ran out on its way") // the process slept, or the answer was slow
	}
	_, failed := errors.AsType[*Unavailable](err)
	if failed && w.grant.Expiry.After(c.o.Now()) {
		return w.access(), nil // too short for comfort, but alive
	}
	return access, err
}

// used writes down that a grant is in use, at most every tenth of Idle. Nobody
// writes to a row with an open intent but its owner.
func (v *Vault) used(ctx context.Context, c *config, w *view) {
	now := c.o.Now()
	if w.unsaved || w.row.Intent.Open || now.Sub(w.row.LastUsed) < c.o.Idle/10 {
		return
	}
	next := w.row
	next.LastUsed = now
	v.mark(ctx, c, next, w.row.Version())
}

// mark writes in the background what may as well get lost.
func (v *Vault) mark(ctx context.Context, c *config, next Row, old Version) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, busy := v.marking[next.Key]; busy || v.closed {
		return
	}
	v.marking[next.Key] = struct{}{}
	v.work.Go(func() {
		defer func() {
			v.mu.Lock()
			delete(v.marking, next.Key)
			v.mu.Unlock()
		}()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.o.StoreTimeout)
		defer cancel()
		if err := v.store.CompareAndSwap(ctx, old, next); err == nil && next.Dead {
			c.ended(&next)
		}
	})
}
