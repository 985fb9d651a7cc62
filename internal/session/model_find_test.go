package session

import (
	"context"
	"fmt"
	"time"
)

// findingNode is a node whose store finds rows by its indexes. Now and then they are
// said not to be whole, as where an older build has written, and it walks.
type findingNode struct{ *modelNode }

var _ Finder = findingNode{}

// booted is the node as its vault sees it: with indexes or without.
func (n *modelNode) booted() Store {
	if n.w.finds {
		return findingNode{n}
	}
	return n
}

func (n findingNode) finder() Finder { return n.w.inner.(Finder) }

func (n findingNode) Indexed(ctx context.Context) (whole bool, err error) {
	err = n.step(ctx, "asking for indexes", func() (err error) { whole, err = n.finder().Indexed(ctx); return err })
	if a, ok := ctx.Value(actorKey{}).(*actor); ok && n.w.walkable() && a.rnd.IntN(5) == 0 {
		whole = false
	}
	return whole, err
}

// walkable reports whether the store can be walked: one that has the rows of other runs
// takes too long.
func (w *world) walkable() bool { _, ok := w.inner.(*Memory); return ok }

func (n findingNode) Find(ctx context.Context, by Index, id ID, visit func(Row) bool) error {
	modelSeen.count("found by an index")
	return n.step(ctx, "find", func() error { return n.finder().Find(ctx, by, id, visit) })
}

func (n findingNode) Number(ctx context.Context, by Index, id ID) (number int, err error) {
	err = n.step(ctx, "number", func() (err error) { number, err = n.finder().Number(ctx, by, id); return err })
	return number, err
}

func (n findingNode) Due(ctx context.Context, used, now time.Time, over func(*Row) bool, most int) (keys []Key, more bool, err error) {
	err = n.step(ctx, "due", func() (err error) { keys, more, err = n.finder().Due(ctx, used, now, over, most); return err })
	return keys, more, err
}

func (n findingNode) Counts(ctx context.Context, now time.Time) (all Counts, err error) {
	err = n.step(ctx, "counts", func() (err error) { all, err = n.finder().Counts(ctx, now); return err })
	return all, err
}

func (n findingNode) Keys(ctx context.Context, visit func(Key) bool) error {
	return n.step(ctx, "keys", func() error { return n.finder().Keys(ctx, visit) })
}

func (n *modelNode) Exclusive() bool { return n.w.alone }

func (n *modelNode) Now(ctx context.Context) (now time.Time, err error) {
	err = n.step(ctx, "clock", func() error { now = time.Now(); return nil })
	return now, err
}

// Each walks.
func (n *modelNode) Each(ctx context.Context, visit func(Row) bool) error {
	modelSeen.count("walked")
	return n.step(ctx, "walk", func() error { return n.w.inner.Each(ctx, visit) })
}

// Delete is what a sweep does of what is over, and nothing is within a run.
func (n *modelNode) Delete(_ context.Context, key Key) error {
	n.w.fail("node %d deletes %x, which is not over", n.number, key)
	return nil
}

// The grant's subject in a run, whom an operator ends.
func (w *world) subject() string { return fmt.Sprint("subject ", w.seed) }

// sweep has a node look for what is over.
func (w *world) sweep(n *modelNode) {
	ctx, _ := w.actor(context.Background())
	outside, _ := w.actor(context.Background())
	w.requests.Go(func() {
		n.gate(outside, time.Second)
		counted, err := n.vault.Sweep(ctx)
		n.gate(outside, time.Millisecond)
		if err == nil && w.walkable() && counted.Live+counted.Renewing+counted.Uncertain+counted.Dead != 1 {
			w.fail("node %d counts %+v, and there is one grant", n.number, counted)
		}
		modelSeen.count("swept")
	})
}

// judgeIndexes asks whether the grant is where it is found.
func (w *world) judgeIndexes() {
	f, ok := w.inner.(Finder)
	if !ok || !w.finds {
		return
	}
	ctx := context.Background()
	row, err := w.inner.Load(ctx, w.h.Key())
	if err != nil {
		w.fail("reading the grant: %v", err)
		return
	}
	for _, by := range Indexes {
		id := row.Under(by)
		if id == (ID{}) {
			continue
		}
		found := 0
		err := f.Find(ctx, by, id, func(one Row) bool {
			if one.Key != row.Key {
				return true // of another run
			}
			if found++; one.Version() != row.Version() {
				w.fail("index %d has the grant in version %v, and the store in %v", by, one.Version(), row.Version())
			}
			return true
		})
		number, counted := f.Number(ctx, by, id)
		if !w.walkable() {
			number = min(number, 1)
		}
		if err != nil || counted != nil || found != 1 || number != 1 {
			w.fail("index %d has the grant %d times, and counts %d; %v %v", by, found, number, err, counted)
		}
	}
	if row.Dead && w.walkable() {
		if left, err := f.Number(ctx, ByHolder, row.Holder); err == nil && row.Holder != (ID{}) && left != 0 {
			w.fail("a grant that has ended is counted for its holder")
		}
	}
}
