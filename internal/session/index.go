package session

import (
	"context"
	"errors"
	"time"
)

// Index names what a grant's row is found by, without a walk: one of its digests.
type Index uint8

// What Find finds by.
const (
	BySubject Index = 1 + iota // Row.Subject; the row of an ended grant too
	ByUser                     // Row.User
	BySession                  // Row.Session
	ByHolder                   // Row.Holder
)

// Indexes are all of them.
var Indexes = [...]Index{BySubject, ByUser, BySession, ByHolder}

// Under is the digest that an index has the row under; none: the row is not in it.
func (r *Row) Under(by Index) ID {
	switch {
	case r.Purpose != ForGrant:
	case by == BySubject:
		return r.Subject
	case r.Dead:
	case by == ByUser:
		return r.User
	case by == BySession:
		return r.Session
	case by == ByHolder:
		return r.Holder
	}
	return ID{}
}

// Finder is what a store may offer beside: finding rows at the cost of what is
// found, and not of all that is there. What it finds them by is written with them.
type Finder interface {
	// Indexed reports whether all rows can be found so. A store that has met rows of
	// a build without indexes says no until it has gone through them; until then
	// walk.
	Indexed(ctx context.Context) (bool, error)
	// Find shows what Each would of the rows under a digest that is not zero, until
	// visit answers false.
	Find(ctx context.Context, by Index, id ID, visit func(Row) bool) error
	// Number is how many rows are under a digest that is not zero.
	Number(ctx context.Context, by Index, id ID) (int, error)
	// Due answers the keys of rows, so many at most, of which over says that they
	// are. It looks at what may be: at rows whose Until is before now, and at live
	// grants last used before used, as far as their last use was noted. It may
	// leave one that is not over alone for some minutes. With many nodes one of
	// them may get all, and the others none.
	Due(ctx context.Context, used, now time.Time, over func(*Row) bool, most int) (keys []Key, more bool, err error)
	// Counts are the grants by now, the store's time; but not what was deleted.
	Counts(ctx context.Context, now time.Time) (Counts, error)
	// Keys shows the key of every row until visit answers false.
	Keys(ctx context.Context, visit func(Key) bool) error
}

// Standing is what a row is counted as. Whether an unsettled one is being renewed
// or uncertain, its lease decides.
type Standing uint8

// The standings of rows.
const (
	NoGrant Standing = iota
	Settled
	Unsettled
	Ended
)

// Standing tells how the row stands.
func (r *Row) Standing() Standing {
	switch {
	case r.Purpose != ForGrant:
		return NoGrant
	case r.Dead:
		return Ended
	case r.Intent.Open || r.Doubts > 0:
		return Unsettled
	}
	return Settled
}

// indexed answers the store's way to find rows, or nil where it has none by now.
func (v *Vault) indexed(ctx context.Context, c *config) (Finder, error) {
	f, ok := v.store.(Finder)
	if !ok {
		return nil, nil //nolint:nilnil // nil is none
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.StoreTimeout)
	defer cancel()
	if ok, err := f.Indexed(ctx); !ok || err != nil {
		return nil, err
	}
	return f, nil
}

// find shows the grants under one of some digests. Records that cannot be read are
// an *Unread, but only after all others were shown.
func (v *Vault) find(ctx context.Context, c *config, by Index, ids []ID, visit func(*Row) bool) error {
	f, err := v.indexed(ctx, c)
	if err != nil {
		return err
	}
	wanted := map[ID]bool{}
	for _, id := range ids {
		wanted[id] = id != ID{}
	}
	if f == nil {
		return v.store.Each(ctx, func(row Row) bool { return !wanted[row.Under(by)] || visit(&row) })
	}
	var left Unread
	on := true
	for id, given := range wanted {
		if !given || !on {
			continue
		}
		err := f.Find(ctx, by, id, func(row Row) bool { on = visit(&row); return on })
		if !left.took(err) {
			return err
		}
	}
	return left.orNil()
}

// took adds what another walk has left out, and reports whether it did well but
// for that.
func (u *Unread) took(err error) bool {
	if err == nil {
		return true
	}
	more, ok := errors.AsType[*Unread](err)
	if !ok {
		return false
	}
	if u.N += more.N; u.First == nil {
		u.First = more.First
	}
	return true
}

func (u *Unread) orNil() error {
	if u.N == 0 {
		return nil
	}
	return u
}
