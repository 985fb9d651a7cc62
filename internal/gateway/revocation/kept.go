package revocation

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/pool"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
)

// kept has one list for each store, and one for all sites without.
var kept = pool.New[*Kept]()

// Nowhere is the identity of the list that is kept in this process alone.
const Nowhere = ""

// Kept is the list that the sites of one store share. It outlives a reload.
type Kept struct {
	identity string
	ledger   *revoked.Ledger
	tried    chan struct{} // closed once it is known whether the store answers
	once     sync.Once
	asked    atomic.Int64 // when a request waited first, in nanoseconds
	good     atomic.Int64 // when the list was last as it is in the store
	failing  atomic.Bool

	mu    sync.Mutex
	sites []*Site
}

// Acquire answers the list of a store, until release is called.
func Acquire(identity string) (k *Kept, release func()) {
	return kept.Acquire(identity, func() *Kept {
		k := &Kept{identity: identity, tried: make(chan struct{})}
		k.ledger = revoked.NewLedger(time.Now, rand.Uint64, k.round)
		if identity == Nowhere {
			k.ledger.Unfollowed()
		}
		return k
	})
}

// Destruct has nothing to end: who follows a store stops.
func (k *Kept) Destruct() error { return nil }

// Follow keeps the list in a store, until ctx ends.
func (k *Kept) Follow(ctx context.Context, docs revoked.Documents) { k.ledger.Follow(ctx, docs) }

// Wake says that another node has changed the list.
func (k *Kept) Wake() { k.ledger.Wake() }

// NotOpen says that the store cannot be opened now: requests do not wait for it.
func (k *Kept) NotOpen() { k.once.Do(func() { close(k.tried) }) }

// round is told how each look at the store went.
func (k *Kept) round(err error) {
	k.NotOpen() // nor once it is known
	if err == nil {
		k.good.Store(time.Now().UnixNano())
	}
	if failing := err != nil; k.failing.Swap(failing) == failing || errors.Is(err, context.Canceled) {
		return
	}
	log := k.log()
	if log == nil {
		return
	}
	if err != nil {
		log.Error("the list of what was taken back cannot be read or written; what is known of it counts", zap.String("store", k.identity), zap.Error(err))
		return
	}
	log.Info("the list of what was taken back is that of the store again", zap.String("store", k.identity))
}

func (k *Kept) log() *zap.Logger {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.sites) == 0 {
		return nil
	}
	return k.sites[len(k.sites)-1].log
}

func (k *Kept) add(s *Site) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sites = append(k.sites, s)
	k.resize()
}

func (k *Kept) remove(s *Site) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sites = slices.DeleteFunc(k.sites, func(other *Site) bool { return other == s })
	k.resize()
}

// resize is called with the lock held.
func (k *Kept) resize() {
	most := 0
	for _, s := range k.sites {
		most = max(most, s.block.entries())
	}
	k.ledger.List.SetMost(most)
}

// Keeps is how long something is remembered: as long as the site asks for that asks
// for the longest.
func (k *Kept) Keeps() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	var longest time.Duration
	for _, s := range k.sites {
		longest = max(longest, s.block.keep())
	}
	if longest == 0 {
		longest = defaultKeep
	}
	return longest
}

// NameOf is what the sites call an issuer that goes by a name; "": none knows it.
func (k *Kept) NameOf(issuer string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.sites {
		if name := s.names[issuer]; name != "" {
			return name
		}
	}
	return ""
}

// beyond is added to keep, for the clocks of issuers.
const beyond = time.Minute

// Add takes something back, for all sites of the list. What is left out of the
// entry is filled in. It counts here at once, also with a [*revoked.Unstored].
func (k *Kept) Add(ctx context.Context, e revoked.Entry) error {
	now := time.Now()
	if name := k.NameOf(e.Issuer); name != "" {
		e.Issuer = name
	}
	e.Added = now
	if e.Until.IsZero() {
		e.Until = now.Add(k.Keeps() + beyond)
	}
	err := k.ledger.Add(ctx, e)
	if opened, failed := k.opens(ctx, err); failed != nil {
		err = &revoked.Unstored{Err: failed}
	} else if opened {
		err = k.ledger.Add(ctx, e)
	}
	telemetry.Metrics.Revocation(e.Source, err)
	return err
}

// Remove lets in again what an entry took back, and reports whether there was one.
func (k *Kept) Remove(ctx context.Context, e *revoked.Entry) (bool, error) {
	named := *e
	if name := k.NameOf(e.Issuer); name != "" {
		named.Issuer = name
	}
	was, err := k.ledger.Remove(ctx, &named)
	if opened, _ := k.opens(ctx, err); opened {
		return k.ledger.Remove(ctx, &named)
	}
	return was, err
}

// opens opens the store where err says that it is not open, and reports whether it
// did: who takes back may be the first to need it.
func (k *Kept) opens(ctx context.Context, err error) (opened bool, failed error) {
	if !errors.Is(err, revoked.ErrNotOpen) {
		return false, nil
	}
	open := k.opener()
	if open == nil {
		return false, nil
	}
	followed := k.ledger.Followed()
	if err := open(ctx); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	select {
	case <-followed:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// opener is how a site opens the store, or nil.
func (k *Kept) opener() func(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range slices.Backward(k.sites) {
		if s.open != nil {
			return s.open
		}
	}
	return nil
}

// Store names the store that the list is kept in; "": this process alone.
func (k *Kept) Store() string { return k.identity }

// List is the list itself, for who is told of new entries.
func (k *Kept) List() *revoked.List { return &k.ledger.List }

// Each visits every list of the process, in the order of their names.
func Each(visit func(k *Kept) error) error {
	all := kept.All()
	slices.SortFunc(all, func(a, b *Kept) int { return strings.Compare(a.identity, b.identity) })
	var failed error
	for _, k := range all {
		failed = errors.Join(failed, visit(k))
	}
	return failed
}

// Watch tells the function of what is taken back from now on, until stop is called. It must
// not block.
func (k *Kept) Watch(told func(revoked.Entry)) (stop func()) { return k.ledger.List.Watch(told) }
