package session

import (
	"context"
	"errors"
	"time"
)

// Counts are the grants of a store, each counted once.
type Counts struct {
	Live      int // served, and nothing under way
	Renewing  int // somebody is asking the AS
	Uncertain int // nobody knows whether the RT was consumed
	Dead      int // tombstones
	Deleted   int // rows of all purposes that Sweep has deleted
	// More rows are to be deleted, which Sweep left for the next time.
	More bool
}

const (
	sweepMost  = 16_384      // keys held in memory: half a megabyte
	sweepGrace = time.Minute // beyond Idle, for clocks that differ
)

// Sweep walks the store once, counts its grants, and then deletes what is past
// its absolute end, and grants that lay idle for too long, which nobody would
// be served from any more. It calls Delete for one row after the other, so
// that a store never has to hold much at once. On an error the counts are what
// there was so far.
func (v *Vault) Sweep(ctx context.Context) (Counts, error) {
	c := v.cfg.Load()
	var n Counts
	storeNow, err := v.storeNow(ctx, c)
	if err != nil {
		return n, unavailable(0, "reading the store's clock: %w", err)
	}
	now := c.o.Now()
	var over []Key
	if err := v.store.Each(ctx, func(row Row) bool {
		if !c.o.over(&row, now, storeNow) {
			n.count(&row, storeNow)
		} else if n.More = len(over) >= sweepMost; !n.More {
			over = append(over, row.Key)
		}
		return true
	}); err != nil {
		return n, unavailable(0, "walking the store: %w", err)
	}
	for _, key := range over {
		row, err := v.load(ctx, c, key)
		gone := errors.Is(err, ErrNotFound) // or hidden, since it is past its end
		if err != nil && !gone {
			return n, unavailable(0, "reading a record: %w", err)
		}
		if !gone && !c.o.over(&row, now, storeNow) {
			n.count(&row, storeNow) // it was used since
			continue
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
			c.ended(&row)
		}
	}
	return n, nil
}

// over tells whether nobody needs a row any more. One with an open intent may
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
	wrote := v.warm.writing(key)
	err := v.store.Delete(ctx, key)
	wrote(nil, err)
	return err
}
