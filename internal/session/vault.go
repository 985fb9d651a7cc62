package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrNoGrant is a verdict: nothing belongs to this handle, or no longer.
var ErrNoGrant = errors.New("no such grant, or it has ended")

// ErrReplaced is an ErrNoGrant: the same browser has logged in again, and has
// another handle by now.
var ErrReplaced = fmt.Errorf("%w: its browser has logged in again", ErrNoGrant)

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
	Created time.Time // when the grant began
	End     time.Time // of the grant
	Scope   string
	Lost    string // scope words that were granted once and are no more
	Subject string
	Issuer  string
	Client  string
	App     Secret
	Made    *Made // of App; nil: nothing is kept
	Key     Key
	User    ID // whose browser holds the handle; none: it is no browser's
	// Unsaved: the token came after a renewal whose outcome the store has not
	// taken yet. It serves, and the write goes on.
	Unsaved bool
}

// Vault coordinates the grants of one store for one node.
type Vault struct {
	store     Store
	cfg       atomic.Pointer[config]
	brk       breakers
	cache     cache
	liveCount *liveCount
	holders   *holders
	watches   *watches
	base      context.Context // of the writes that go on; ended by Close
	stop      context.CancelFunc
	unwake    func()         // nil: the store has no wake-ups
	work      sync.WaitGroup // flights, writes that go on, marks of last use

	mu      sync.Mutex
	closed  bool
	flights map[Key]*flight
	unsaved map[Key]*saving
	savings atomic.Int32 // how many those are
	marking map[Key]struct{}
	waiters map[string]int // of all flights to one server together

	documents sync.Map // Key → func(): who is told of changes
}

type config struct {
	ring      *Keyring
	o         Options
	liveCount *liveCount
	holders   *holders
}

// New makes a vault over a store that others may use too. It asks nothing of
// the store.
func New(store Store, ring *Keyring, options Options) (*Vault, error) {
	v := &Vault{
		store: store, flights: map[Key]*flight{}, unsaved: map[Key]*saving{}, marking: map[Key]struct{}{}, waiters: map[string]int{},
		liveCount: newLiveCount(), holders: &holders{}, watches: newWatches(),
	}
	if x, ok := store.(Exclusive); ok {
		v.cache.alone = x.Exclusive()
	}
	if err := v.Apply(ring, options); err != nil {
		return nil, err
	}
	v.base, v.stop = context.WithCancel(context.Background())
	if w, ok := store.(Waker); ok {
		v.unwake = w.Wake(v.changed)
	}
	if s, ok := store.(CatchUp); ok && !v.cache.alone {
		go v.follow(s) // ends with v.base
	}
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
	v.cfg.Store(&config{ring, o, v.liveCount, v.holders})
	return nil
}

// SetClock has the vault go by another clock, until options are applied again.
// Tests let time go on with it.
func (v *Vault) SetClock(now func() time.Time) {
	c := *v.cfg.Load()
	c.o.Now = now
	v.cfg.Store(&c)
}

// Close starts nothing more, and waits until flights have landed and what they
// brought is written, or ctx ends.
func (v *Vault) Close(ctx context.Context) error {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	defer v.cache.close()
	defer v.watches.close()
	defer v.stop()
	if v.unwake != nil {
		defer v.unwake()
	}
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

// Token answers a live AT of the handle's grant. The error is ErrNoGrant, an
// *Unavailable, or that of ctx.
func (v *Vault) Token(ctx context.Context, h Handle) (Access, error) {
	c := v.cfg.Load()
	w, err := v.look(ctx, c, h, false)
	if err != nil {
		return Access{}, err
	}
	if c.phase(&w, w.at) == fresh {
		v.used(ctx, c, &w)
		return w.access(), nil
	}
	return v.renewed(ctx, c, h, w)
}

// renewed answers the AT of a grant that is to be renewed. What goes on behind it
// keeps w, of which a request with a fresh one needs no copy on the heap.
func (v *Vault) renewed(ctx context.Context, c *config, h Handle, w view) (Access, error) {
	if c.phase(&w, w.at) == due {
		v.renewBehind(ctx, c, h, &w)
		return w.access(), nil
	}
	patience := c.o.RefreshWait
	if left := w.grant.Expiry.Sub(c.o.Now()); left > 0 {
		// It still lives: no reason to wait until it does not.
		short := min(patience, left/2)
		access, err := v.wait(ctx, c, h, &w.grant, short)
		if _, failed := errors.AsType[*Unavailable](err); !failed {
			if err != nil || c.arrives(access) || !sameToken(access.Token, w.grant.AccessToken) {
				return c.inTime(access, err)
			}
			// Nothing may be done before its end. What is then, is asked for then.
			if err := c.sleep(ctx, access.Expiry.Sub(c.o.Now())); err != nil {
				return Access{}, err
			}
		} else if c.arrives(w.access()) {
			return w.access(), nil // too short for comfort, but alive
		}
		patience -= short // it ran out meanwhile
	}
	return c.inTime(v.wait(ctx, c, h, &w.grant, patience))
}

// onItsWay is how long a request may take from here to the upstream.
const onItsWay = 100 * time.Millisecond

// arrives reports whether an AT will live at the upstream.
func (c *config) arrives(access Access) bool { return access.Expiry.After(c.o.Now().Add(onItsWay)) }

// sleep waits, until ctx ends.
func (c *config) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// inTime refuses an AT that would be dead on arrival: the process slept, or
// nothing better was to be had.
func (c *config) inTime(access Access, err error) (Access, error) {
	if err == nil && !c.arrives(access) {
		return Access{}, unavailable(0, "the access token ran out on its way")
	}
	return access, err
}
