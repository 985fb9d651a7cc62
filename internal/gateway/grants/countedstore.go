package grants

import (
	"context"
	"errors"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// counted is a store whose failures are counted. That a row is not there, or
// is another by now, is no failure.
type counted struct{ session.Store }

func (s counted) failed(operation string, err error) error {
	if err != nil && !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrExists) &&
		!errors.Is(err, session.ErrConflict) && !errors.Is(err, context.Canceled) {
		telemetry.Metrics.StoreFailed(operation)
	}
	return err
}

func (s counted) Load(ctx context.Context, key session.Key) (session.Row, error) {
	row, err := s.Store.Load(ctx, key)
	return row, s.failed("load", err)
}

func (s counted) Create(ctx context.Context, row session.Row) error {
	return s.failed("create", s.Store.Create(ctx, row))
}

func (s counted) CompareAndSwap(ctx context.Context, old session.Version, next session.Row) error {
	return s.failed("compare_and_swap", s.Store.CompareAndSwap(ctx, old, next))
}

func (s counted) Delete(ctx context.Context, key session.Key) error {
	return s.failed("delete", s.Store.Delete(ctx, key))
}

func (s counted) Each(ctx context.Context, visit func(session.Row) bool) error {
	return s.failed("each", s.Store.Each(ctx, visit))
}

// Confirmed, Wake, CatchUp and Exclusive pass on what the store may offer.
func (s counted) Confirmed(ctx context.Context, key session.Key) (session.Row, error) {
	confirmer, ok := s.Store.(session.Confirmer)
	if !ok {
		return s.Load(ctx, key)
	}
	row, err := confirmer.Confirmed(ctx, key)
	return row, s.failed("load", err)
}

func (s counted) Wake(changed func(session.Key)) (stop func()) {
	if waker, ok := s.Store.(session.Waker); ok {
		return waker.Wake(changed)
	}
	return func() {}
}

func (s counted) CatchUp(ctx context.Context) (line uint64, err error) {
	if store, ok := s.Store.(session.CatchUp); ok {
		return store.CatchUp(ctx)
	}
	return 0, errors.ErrUnsupported
}

func (s counted) Exclusive() bool {
	exclusive, ok := s.Store.(interface{ Exclusive() bool })
	return ok && exclusive.Exclusive()
}

// What follows is for a store with indexes; of another one Indexed is false, and
// nothing else is asked.

func (s counted) Indexed(ctx context.Context) (bool, error) {
	f, ok := s.Store.(session.Finder)
	if !ok {
		return false, nil
	}
	whole, err := f.Indexed(ctx)
	return whole, s.failed("find", err)
}

func (s counted) Find(ctx context.Context, by session.Index, id session.ID, visit func(session.Row) bool) error {
	return s.failed("find", s.finder().Find(ctx, by, id, visit))
}

func (s counted) Number(ctx context.Context, by session.Index, id session.ID) (int, error) {
	n, err := s.finder().Number(ctx, by, id)
	return n, s.failed("find", err)
}

func (s counted) Due(ctx context.Context, used, now time.Time, over func(*session.Row) bool, most int) ([]session.Key, bool, error) {
	keys, more, err := s.finder().Due(ctx, used, now, over, most)
	return keys, more, s.failed("due", err)
}

func (s counted) Counts(ctx context.Context, now time.Time) (session.Counts, error) {
	n, err := s.finder().Counts(ctx, now)
	return n, s.failed("find", err)
}

func (s counted) Keys(ctx context.Context, visit func(session.Key) bool) error {
	return s.failed("find", s.finder().Keys(ctx, visit))
}

// Stretch of a store without pages shows all at once.
func (s counted) Stretch(ctx context.Context, at string, visit func(session.Row)) (next string, err error) {
	if pager, ok := s.Store.(session.Pager); ok {
		next, err = pager.Stretch(ctx, at, visit)
	} else {
		err = s.Store.Each(ctx, func(row session.Row) bool { visit(row); return true })
	}
	if errors.Is(err, session.ErrNoPage) {
		return next, err
	}
	return next, s.failed("each", err)
}

func (s counted) finder() session.Finder { return s.Store.(session.Finder) }
