package session

import (
	"context"
	"time"
)

// catchUpEvery is how often a vault makes sure that it was told of all changes.
const catchUpEvery = staleMost / 4

// followedSpan is a time in which this node was told of each change that any node made.
type followedSpan struct {
	line     uint64
	from, to time.Time
}

// follow catches up for as long as the vault is open, while it keeps or watches
// anything.
func (v *Vault) follow(store CatchUp) {
	tick := time.NewTicker(catchUpEvery)
	defer tick.Stop()
	for {
		select {
		case <-v.base.Done():
			return
		case <-tick.C:
			if v.cache.busy() || v.watches.n.Load() > 0 {
				v.catchUp(v.base, store)
			}
		}
	}
}

// catchUp stretches the time in which all was told up to now, or begins one anew
// where something may have got lost. If it fails, what is known stays known.
func (v *Vault) catchUp(ctx context.Context, store CatchUp) {
	now := v.cfg.Load().o.Now
	ctx, cancel := context.WithTimeout(ctx, staleMost)
	defer cancel()
	next := &followedSpan{to: now()}
	var err error
	if next.line, err = store.CatchUp(ctx); err != nil {
		return
	}
	last := v.cache.followed.Load()
	if last != nil && last.line == next.line {
		next.from = last.from
	} else {
		next.from = now() // the line was there by now, not when it was asked for
	}
	v.cache.followed.Store(next)
}

// busy reports whether anything is kept.
func (w *cache) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.timer != nil
}
