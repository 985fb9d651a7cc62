package session

import (
	"container/heap"
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"time"
)

// memoryIndex finds the rows of a Memory. It is written with the lock held.
type memoryIndex struct {
	under map[memoryPlace]map[Key]struct{}
	until deadlines // of all rows
	used  deadlines // of live grants, as their last use was noted
	stand [Ended + 1]int
	open  map[Key]time.Time // the leases of open intents
}

type memoryPlace struct {
	by Index
	id ID
}

func newMemoryIndex() memoryIndex {
	return memoryIndex{under: map[memoryPlace]map[Key]struct{}{}, open: map[Key]time.Time{}}
}

// moved notes that a row was replaced. nil: there was none, or there is none.
func (x *memoryIndex) moved(old, next *Row) {
	for _, by := range Indexes {
		var from, to ID
		var key Key
		if old != nil {
			from, key = old.Under(by), old.Key
		}
		if next != nil {
			to, key = next.Under(by), next.Key
		}
		if from != to {
			x.leave(memoryPlace{by, from}, key)
			x.enter(memoryPlace{by, to}, key)
		}
	}
	if old != nil {
		x.stand[old.Standing()]--
		delete(x.open, old.Key)
	}
	if next == nil {
		return
	}
	x.stand[next.Standing()]++
	if next.Standing() == Unsettled && next.Intent.Open {
		x.open[next.Key] = next.Intent.Lease
	}
	if old == nil || !old.Until.Equal(next.Until) {
		heap.Push(&x.until, deadline{next.Until, next.Key})
	}
	if live(next) && (old == nil || !live(old)) {
		heap.Push(&x.used, deadline{next.LastUsed, next.Key})
	}
}

func live(row *Row) bool { return row.Purpose == ForGrant && !row.Dead }

func (x *memoryIndex) enter(at memoryPlace, key Key) {
	if at.id == (ID{}) {
		return
	}
	all := x.under[at]
	if all == nil {
		all = map[Key]struct{}{}
		x.under[at] = all
	}
	all[key] = struct{}{}
}

func (x *memoryIndex) leave(at memoryPlace, key Key) {
	delete(x.under[at], key)
	if len(x.under[at]) == 0 {
		delete(x.under, at)
	}
}

// deadlines is a heap. What stands there is looked at again when its time comes.
type deadlines []deadline

type deadline struct {
	at  time.Time
	key Key
}

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(one any)      { *d = append(*d, one.(deadline)) }
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	one := (*d)[last]
	*d = (*d)[:last]
	return one
}

// Indexed is true.
func (m *Memory) Indexed(ctx context.Context) (bool, error) { return true, ctx.Err() }

// Find shows the rows there were under a digest when it was called.
func (m *Memory) Find(ctx context.Context, by Index, id ID, visit func(Row) bool) error {
	var rows []Row
	m.mu.Lock()
	for key := range m.index.under[memoryPlace{by, id}] {
		if row, ok := m.rows[key]; ok && !m.now().After(row.Until) {
			rows = append(rows, own(row))
		}
	}
	m.mu.Unlock()
	for _, row := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !visit(row) {
			return nil
		}
	}
	return ctx.Err()
}

// Number counts the rows under a digest.
func (m *Memory) Number(ctx context.Context, by Index, id ID) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.index.under[memoryPlace{by, id}]), ctx.Err()
}

// notYet is for how long a row that is due and not over is left alone.
const notYet = 5 * time.Minute

// Due answers what is over.
func (m *Memory) Due(ctx context.Context, used, now time.Time, over func(*Row) bool, most int) (keys []Key, more bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var stay []deadline // they are over until somebody deletes them
	look := func(all *deadlines, before time.Time, again func(row *Row, at time.Time) time.Time) {
		for len(*all) > 0 && (*all)[0].at.Before(before) {
			if len(keys) == most {
				more = true
				break
			}
			one := heap.Pop(all).(deadline)
			row, there := m.rows[one.key]
			at := time.Time{}
			if there {
				at = again(&row, one.at)
			}
			switch {
			case at.IsZero(): // it is not of this list any more
			case at.After(one.at):
				heap.Push(all, deadline{at, one.key})
			case over(&row):
				keys, stay = append(keys, one.key), append(stay, one)
			default:
				heap.Push(all, deadline{before.Add(notYet), one.key})
			}
		}
		for _, one := range stay {
			heap.Push(all, one)
		}
		stay = nil
	}
	look(&m.index.until, now, func(row *Row, _ time.Time) time.Time { return row.Until })
	look(&m.index.used, used, func(row *Row, at time.Time) time.Time {
		if !live(row) {
			return time.Time{}
		}
		return laterOf(row.LastUsed, at)
	})
	slices.SortFunc(keys, func(a, b Key) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(keys), more, ctx.Err()
}

func laterOf(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Counts are the grants.
func (m *Memory) Counts(ctx context.Context, now time.Time) (n Counts, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n.Live, n.Dead = m.index.stand[Settled], m.index.stand[Ended]
	for _, lease := range m.index.open {
		if !now.After(lease) {
			n.Renewing++
		}
	}
	n.Uncertain = m.index.stand[Unsettled] - n.Renewing
	return n, ctx.Err()
}

// Keys shows the keys there were when it was called.
func (m *Memory) Keys(ctx context.Context, visit func(Key) bool) error {
	m.mu.Lock()
	keys := slices.Collect(maps.Keys(m.rows))
	m.mu.Unlock()
	for _, key := range keys {
		if !visit(key) {
			break
		}
	}
	return ctx.Err()
}

// Stretch shows some rows from a position on.
func (m *Memory) Stretch(ctx context.Context, at string, visit func(Row)) (next string, err error) {
	const most = 256
	if _, err := hex.DecodeString(at); err != nil {
		return "", ErrNoPage
	}
	m.mu.Lock()
	var rows []Row
	for _, row := range m.rows {
		if hex.EncodeToString(row.Key[:]) >= at && !m.now().After(row.Until) {
			rows = append(rows, own(row))
		}
	}
	m.mu.Unlock()
	slices.SortFunc(rows, func(a, b Row) int { return slices.Compare(a.Key[:], b.Key[:]) })
	if len(rows) > most {
		next = hex.EncodeToString(rows[most].Key[:])
		rows = rows[:most]
	}
	for _, row := range rows {
		visit(row)
	}
	return next, ctx.Err()
}
