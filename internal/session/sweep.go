package session

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Counts are the grants of a store, each counted once.
type Counts struct {
	Live      int // served, and nothing under way
	Renewing  int // a node is asking the AS
	Uncertain int // it is not known whether the RT was consumed
	Dead      int // tombstones
	Deleted   int // rows of all purposes that Sweep has deleted
	// More rows are to be deleted, which Sweep left for the next time.
	More bool
}

const (
	sweepMost   = 16_384      // keys held in memory: half a megabyte
	sweepGrace  = time.Minute // beyond Idle, for clocks that differ
	sweepAtOnce = 32
)

// Sweep deletes what is past its absolute end, and grants that lay idle for too
// long, which no request would be served from any more, and counts the others. It
// calls Delete for each row by itself, so that a store never has to hold much at
// once. On an error the counts are what there was so far.
//
// A store with indexes is asked for what is due; any other is walked.
func (v *Vault) Sweep(ctx context.Context) (Counts, error) {
	c := v.cfg.Load()
	storeNow, err := v.storeNow(ctx, c)
	if err != nil {
		return Counts{}, unavailable(0, "reading the store's clock: %w", err)
	}
	now := c.o.Now()
	v.holders.forget()
	f, err := v.indexed(ctx, c)
	switch {
	case err != nil:
		return Counts{}, unavailable(0, "asking for the store's indexes: %w", err)
	case f != nil:
		return v.sweepDue(ctx, c, f, now, storeNow)
	}
	return v.sweepAll(ctx, c, now, storeNow)
}

// sweepDue touches what may be over, and nothing else.
func (v *Vault) sweepDue(ctx context.Context, c *config, f Finder, now, storeNow time.Time) (Counts, error) {
	over, more, looked := f.Due(ctx, now.Add(-c.o.Idle-sweepGrace), storeNow,
		func(row *Row) bool { return c.o.over(row, now, storeNow) }, sweepMost)
	swept, err := v.sweepAway(ctx, c, Counts{}, over, now, storeNow)
	if looked != nil { // and what was found has gone all the same
		return swept, unavailable(0, "looking for what is over: %w", errors.Join(looked, err))
	}
	n, counted := f.Counts(ctx, storeNow)
	if counted != nil {
		err = errors.Join(err, unavailable(0, "counting: %w", counted))
	}
	n.Deleted, n.More = swept.Deleted, more
	return n, err
}

// sweepAll walks the store once, and counts.
func (v *Vault) sweepAll(ctx context.Context, c *config, now, storeNow time.Time) (n Counts, err error) {
	var over []Key
	live := map[ID]int{}
	v.liveCount.begin(now)
	walked := v.store.Each(ctx, func(row Row) bool {
		if !c.o.over(&row, now, storeNow) {
			n.count(&row, storeNow)
			if row.Purpose == ForGrant && !row.Dead && row.Holder != (ID{}) && !row.Created.After(now) {
				live[row.Holder]++ // one that has begun since is a change
			}
		} else if n.More = len(over) >= sweepMost; !n.More {
			over = append(over, row.Key)
		}
		return true
	})
	v.liveCount.finish(live, walked == nil || unread(walked), now, c.o.Idle+sweepGrace)
	n, err = v.sweepAway(ctx, c, n, over, now, storeNow)
	if walked != nil { // and what was found has gone all the same
		err = unavailable(0, "walking the store: %w", errors.Join(walked, err))
	}
	return n, err
}

// sweepAway looks at each row again and deletes it. Some go side by side, since
// a store may write down many at once as quickly as one.
func (v *Vault) sweepAway(ctx context.Context, c *config, n Counts, over []Key, now, storeNow time.Time) (Counts, error) {
	var (
		mu     sync.Mutex
		failed error
		work   sync.WaitGroup
		next   int
	)
	take := func() (key Key, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil || next == len(over) {
			return key, false
		}
		next++
		return over[next-1], true
	}
	for range min(sweepAtOnce, len(over)) {
		work.Go(func() {
			for key, ok := take(); ok; key, ok = take() {
				one, err := v.sweepOne(ctx, c, key, now, storeNow)
				mu.Lock()
				n.add(one)
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	work.Wait()
	return n, failed
}

// sweepOne deletes a row, unless it was used since it was found.
func (v *Vault) sweepOne(ctx context.Context, c *config, key Key, now, storeNow time.Time) (n Counts, err error) {
	row, err := v.load(ctx, c, key)
	gone := errors.Is(err, ErrNotFound) // or hidden, since it is past its end
	switch {
	case err != nil && !gone:
		return n, unavailable(0, "reading a record: %w", err)
	case !gone && !c.o.over(&row, now, storeNow):
		n.count(&row, storeNow)
		return n, nil
	}
	if err := v.forget(ctx, c, key); err != nil {
		return n, unavailable(0, "deleting a record: %w", err)
	}
	n.Deleted++
	if !gone && !row.Dead && row.Purpose == ForGrant {
		row.Reason = EndedIdle
		if storeNow.After(row.Until) {
			row.Reason = EndedMax
		}
		c.tellEnd(&row) // it was not counted any more
	}
	return n, nil
}

func (n *Counts) add(other Counts) {
	n.Live += other.Live
	n.Renewing += other.Renewing
	n.Uncertain += other.Uncertain
	n.Dead += other.Dead
	n.Deleted += other.Deleted
}

// over reports whether a row is not needed any more. One with an open intent may
// get an outcome still.
func (o *Options) over(row *Row, now, storeNow time.Time) bool {
	if storeNow.After(row.Until) {
		return true
	}
	idle := !row.Dead && row.Purpose == ForGrant && !row.Intent.Open
	return idle && now.After(row.LastUsed.Add(o.Idle+sweepGrace))
}

func (n *Counts) count(row *Row, storeNow time.Time) {
	switch {
	case row.Purpose != ForGrant:
	case row.Dead:
		n.Dead++
	case row.Intent.Open && !storeNow.After(row.Intent.Lease):
		n.Renewing++
	case row.Intent.Open || row.Doubts > 0:
		n.Uncertain++
	default:
		n.Live++
	}
}

func (v *Vault) forget(ctx context.Context, c *config, key Key) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.StoreTimeout)
	defer cancel()
	wrote := v.cache.writing(key)
	err := v.store.Delete(ctx, key)
	wrote(nil, err)
	v.watches.changed(key)
	return err
}
