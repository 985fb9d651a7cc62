package grants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/pool"
	"github.com/caddyoauth/caddyoauth/internal/gateway/revocation"
	"github.com/caddyoauth/caddyoauth/internal/gateway/stores"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// vaults are shared by sites and outlive reloads. The key is the identity of
// the store: a file that is open cannot be opened again.
var vaults = pool.New[*vault]()

const (
	openAgain   = time.Second      // after a store could not be opened
	openWithin  = 10 * time.Second // for the keyring and the store
	closeAfter  = 7 * time.Second  // for writing what refreshes under way have brought
	queueAtMost = 2 * time.Second  // for another request to open it
	sweepFirst  = time.Second
	sweepEach   = time.Minute
)

// FullWait is when to come back with too many grants: they are counted so often.
const FullWait = sweepEach

// vault is a store of grants with the refreshes under way. It opens with the
// first use, never while a configuration is provisioned.
type vault struct {
	identity string
	ctx      context.Context // of the background work; ended by Destruct
	stop     context.CancelFunc

	current   atomic.Pointer[session.Vault] // nil: not open yet
	stale     atomic.Bool                   // keys or options have changed since it was opened
	examining atomic.Bool
	trying    atomic.Bool // to open it, with nobody waiting
	counts    atomic.Pointer[session.Counts]
	opening   chan struct{} // held while it is opened or closed
	walks     *walks        // that users ask for
	revoked   *revocation.Kept
	unlist    func() // lets go of revoked

	// Held with opening.
	stored     [][]byte // the keyring in Caddy's storage
	looked     bool     // it was looked for
	rows       session.Store
	closeStore func() error
	failed     error
	failedAt   time.Time
	told       string // to the log, of that
	toldAt     time.Time

	mu      sync.Mutex
	keepers []*Keeper
}

// acquireVault gets or makes the vault of the place identity, until release is
// called.
func acquireVault(identity string) (v *vault, release func()) {
	return vaults.Acquire(identity, func() *vault {
		v := &vault{identity: identity, opening: make(chan struct{}, 1), walks: newWalks()}
		v.ctx, v.stop = context.WithCancel(context.Background())
		v.revoked, v.unlist = revocation.Acquire(identity)
		return v
	})
}

// add takes a keeper in. While a reload is under way there are sites of two
// configurations, which may differ.
func (v *vault) add(k *Keeper) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, other := range v.keepers {
		if other.config == k.config {
			if err := conflict(other, k); err != nil {
				return err
			}
		}
	}
	v.keepers = append(v.keepers, k)
	return nil
}

func (v *vault) remove(k *Keeper) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keepers = slices.DeleteFunc(v.keepers, func(other *Keeper) bool { return other == k })
	v.stale.Store(true)
}

// sites are how many share the vault.
func (v *vault) sites() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.keepers)
}

// inForce is the keeper whose settings count, or nil when there is none.
func (v *vault) inForce() *Keeper {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, k := range slices.Backward(v.keepers) {
		if k.live.Load() {
			return k
		}
	}
	return nil
}

// hasIssuer reports whether any configuration has an issuer of this name.
func (v *vault) hasIssuer(url string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.ContainsFunc(v.keepers, func(k *Keeper) bool { return k.issuer(url) != nil })
}

// open answers the vault, open and with the settings that count now.
func (v *vault) open(ctx context.Context) (*session.Vault, error) {
	if s := v.current.Load(); s != nil && !v.stale.Load() {
		return s, nil
	}
	queue := time.NewTimer(queueAtMost)
	defer queue.Stop()
	select {
	case v.opening <- struct{}{}:
		defer func() { <-v.opening }()
	case <-queue.C:
		return nil, &session.Unavailable{RetryAfter: openAgain, Err: errors.New("the store is being opened")}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s := v.current.Load()
	if time.Since(v.failedAt) < openAgain {
		if s != nil {
			return s, nil // with the settings it had
		}
		return nil, &session.Unavailable{RetryAfter: openAgain, Err: v.failed}
	}
	if s != nil && !v.stale.Load() {
		return s, nil
	}
	keeper := v.inForce()
	if keeper == nil || v.ctx.Err() != nil {
		return nil, &session.Unavailable{RetryAfter: openAgain, Err: errors.New("shutting down")}
	}
	v.stale.Store(false) // before the settings are read: a change meanwhile is seen next time
	if err := v.openOrApply(context.WithoutCancel(ctx), keeper); err != nil {
		v.complain(keeper, err)
		v.revoked.NotOpen()
		v.stale.Store(true)
		if s == nil {
			v.openLater()
			return nil, &session.Unavailable{RetryAfter: openAgain, Err: err}
		}
	}
	return v.current.Load(), nil
}

// complain remembers why the store cannot be used, and tells the log, which does not
// need the same more than once a minute.
func (v *vault) complain(keeper *Keeper, err error) {
	v.failed, v.failedAt = err, time.Now()
	if text := err.Error(); text != v.told || v.failedAt.Sub(v.toldAt) >= time.Minute {
		v.told, v.toldAt = text, v.failedAt
		keeper.Log.Error("the store of grants cannot be used", zap.String("store", v.identity), zap.Error(err))
	}
}

// openLater opens the store as soon as that is possible, whoever asks for it: what was
// taken back stands in it, and concerns tokens that need no grant.
func (v *vault) openLater() {
	if !v.trying.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer v.trying.Store(false)
		for v.current.Load() == nil {
			select {
			case <-v.ctx.Done():
				return
			case <-time.After(openAgain):
				_, _ = v.open(v.ctx)
			}
		}
	}()
}

// openOrApply opens the vault with a keeper's settings, or gives them to the open
// one.
func (v *vault) openOrApply(ctx context.Context, keeper *Keeper) error {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	ring, err := v.keyring(ctx, keeper)
	if err != nil {
		return err
	}
	options := v.optionsOf(keeper)
	if s := v.current.Load(); s != nil {
		if store, applies := keeper.store.(stores.OpenApplier); applies {
			store.Apply(v.rows)
		}
		return s.Apply(ring, options)
	}
	rows, closeStore, err := keeper.store.Open(ctx)
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	s, err := session.New(counted{rows}, ring, options)
	if err != nil {
		return errors.Join(err, closeStore())
	}
	v.rows, v.closeStore = rows, closeStore
	v.current.Store(s)
	go v.sweep(s)
	go v.followRevoked(s)
	keeper.Log.Info("opened the store of grants", zap.String("store", v.identity))
	return nil
}

// optionsOf are a keeper's, with what the vault does for all.
func (v *vault) optionsOf(keeper *Keeper) session.Options {
	options := keeper.options
	options.Now, options.Renew, options.Works = time.Now, v.renew, v.works
	options.Revoke, options.Observe = v.revoke, v.observe
	return options
}

// sweep removes what has run out, and counts what is left.
func (v *vault) sweep(s *session.Vault) {
	for pause := sweepFirst; ; {
		select {
		case <-v.ctx.Done():
			return
		case <-time.After(pause):
		}
		counts, err := s.Sweep(v.ctx)
		if pause = sweepEach; counts.More {
			pause = sweepFirst
		}
		if err == nil {
			v.counts.Store(&counts)
		} else if keeper := v.inForce(); keeper != nil && v.ctx.Err() == nil {
			keeper.Log.Warn("looking for grants that have run out failed", zap.Error(err))
		}
	}
}

// Destruct waits for the refreshes under way, so that no pair is lost, and
// closes the store. Nothing opens it afterwards.
func (v *vault) Destruct() error {
	v.stop()
	defer v.unlist()
	v.opening <- struct{}{} // and never given back
	s := v.current.Load()
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), v.longestCall()+closeAfter)
	defer cancel()
	return errors.Join(s.Close(ctx), v.closeStore())
}

// longestCall is how long a refresh under way may take.
func (v *vault) longestCall() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	longest := tokenTimeout
	for _, k := range v.keepers {
		longest = max(longest, k.options.TokenTimeout)
	}
	return longest
}
