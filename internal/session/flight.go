package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// flight renews one record on one node, once for all requests that wait. It belongs to
// none of them: it goes on when they all have left.
type flight struct {
	v       *Vault
	c       *config
	h       Handle
	until   time.Time     // it waits for nothing any longer than this
	woken   chan struct{} // the row may have changed
	done    chan struct{} // closed after access and err were set
	access  Access
	err     error
	waiters int    // under the vault's lock
	at      string // who is asked, as [Options.Authority] names it; under the vault's lock, set with the first waiter
	dead    Secret // an AT that is good for nothing any more; under the vault's lock
	urgent  bool   // not even for the pause after a renewal; under the vault's lock
}

// errLeft ends a flight that would have to wait, and that no request waits for.
var errLeft = errors.New("nobody waits for the renewal")

// launch is called with the vault's lock held.
func (v *Vault) launch(ctx context.Context, c *config, h Handle) *flight {
	f := &flight{
		v: v, c: c, h: h, until: c.o.Now().Add(c.o.RefreshWait),
		woken: make(chan struct{}, 1), done: make(chan struct{}),
		err: &Unavailable{time.Second, errors.New("the renewal was cut off")},
	}
	v.flights[h.Key()] = f
	v.work.Go(func() {
		defer f.land()
		// Waiting for others ends at until, calls have deadlines of their own:
		// this one is for what we did not think of.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.o.RefreshWait+2*c.o.Lease)
		defer cancel()
		f.access, f.err = f.run(ctx)
	})
	return f
}

func (f *flight) land() {
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	if f.v.flights[f.h.Key()] == f {
		delete(f.v.flights, f.h.Key())
	}
	close(f.done)
}

// leave takes the flight off the list if no request waits for it. One that comes
// afterwards starts another.
func (f *flight) leave() bool {
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	if f.waiters > 0 {
		return false
	}
	delete(f.v.flights, f.h.Key())
	return true
}

func unavailable(after time.Duration, format string, args ...any) error {
	return &Unavailable{max(after, time.Second), fmt.Errorf(format, args...)}
}

func (f *flight) run(ctx context.Context) (Access, error) {
	o := &f.c.o
	for pause := 25 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		w, err := f.v.look(ctx, f.c, f.h, true)
		if err != nil {
			return Access{}, err
		}
		f.expireDead(&w)
		if f.c.phase(&w, w.at) == fresh {
			return w.access(), nil // read before a renewal, arrived after it
		}
		if w.unsaved || f.v.saves(f.h.Key()) {
			return f.makeDo(&w, unavailable(0, "the last renewal is not saved yet"))
		}
		asked := o.Now() // before the store's clock is read, so that our deadline ends before the lease
		storeNow, err := f.v.storeNow(ctx, f.c)
		if err != nil {
			return f.makeDo(&w, unavailable(0, "reading the store's clock: %w", err))
		}
		next, doubts, wait := o.plan(new(f.unguarded(w.row)), &w.grant, asked, storeNow)
		switch next {
		case rest:
			return w.access(), nil
		case finish:
			if over, err := f.finish(ctx, &w); over {
				return Access{}, err
			}
		case hold:
			if w.grant.Expiry.After(asked) {
				return w.access(), nil
			}
		case await:
			wait = pause + o.jitter(pause)
		case present:
			if wait = f.v.brk.of(o, &w.grant).Wait(o.breaks(), asked); wait > 0 {
				return f.makeDo(&w, unavailable(wait, "the token endpoint fails"))
			}
			access, over, err := f.present(ctx, &w, asked, storeNow, doubts)
			if over {
				return access, err
			}
			wait = o.jitter(10 * time.Millisecond)
		}
		if err := f.sleep(ctx, wait); err != nil {
			return f.makeDo(&w, err)
		}
	}
}

// makeDo answers the AT while it lives, for lack of a better.
func (f *flight) makeDo(w *view, err error) (Access, error) {
	if f.expireDead(w); w.grant.Expiry.After(f.c.o.Now()) {
		return w.access(), nil
	}
	return Access{}, err
}

// sleep waits for wait, for a wake-up of the store, or not at all if no request
// waits for the flight or its time is over.
func (f *flight) sleep(ctx context.Context, wait time.Duration) error {
	if f.leave() {
		return errLeft
	}
	if wait > f.until.Sub(f.c.o.Now()) {
		return unavailable(wait, "the grant cannot be renewed yet")
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.woken:
	case <-ctx.Done():
		return unavailable(0, "waiting for a renewal: %w", ctx.Err())
	}
	select {
	case <-f.woken: // the row will be read anyway
	default:
	}
	return nil
}

// changed is told of rows that a node has changed; it may be this node.
func (v *Vault) changed(key Key) {
	v.cache.changed(key)
	if told, ok := v.documents.Load(key); ok {
		told.(func())()
	}
	v.watches.changed(key)
	v.mu.Lock()
	f := v.flights[key]
	v.mu.Unlock()
	if f == nil {
		return
	}
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

func (v *Vault) storeNow(ctx context.Context, c *config) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.StoreTimeout)
	defer cancel()
	return v.store.Now(ctx)
}

// swap outlives the flight's own time: what the AS has answered is written.
func (v *Vault) swap(ctx context.Context, c *config, old Version, next Row) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.o.StoreTimeout)
	defer cancel()
	wrote := v.cache.writing(next.Key)
	err = errors.New("the store did not return") // if it panics
	defer func() {
		wrote(&next, err)
		v.wrote(&next, err)
	}()
	return v.store.CompareAndSwap(ctx, old, next)
}

// finish ends a grant that nothing may be presented for any more. It is not
// over if another node changed the row first.
func (f *flight) finish(ctx context.Context, w *view) (over bool, err error) {
	next := tombstone(w.row, EndedUncertain)
	if !w.grant.renewable() {
		next.Reason = EndedRefused
	}
	switch err := f.v.swap(ctx, f.c, w.row.Version(), next); {
	case err == nil:
		f.c.ended(&next)
		return true, ErrNoGrant
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		return false, nil
	default:
		return true, unavailable(0, "ending a grant: %w", err)
	}
}

// present writes the intent, asks the AS and writes the outcome. It is not
// over if the row has to be looked at again.
func (f *flight) present(ctx context.Context, w *view, asked, storeNow time.Time, doubts uint8) (a Access, over bool, err error) {
	o, row := &f.c.o, w.row
	switch {
	case row.Intent.Open && w.grant.Kind == ByRunningAgain:
		row.DoubtSince = time.Time{} // what its owner was told is unknown
	case row.Intent.Open:
		row.DoubtSince = row.Intent.Since
	}
	row.Doubts, row.LastUsed = doubts, asked
	row.Intent = Intent{
		ID: NewID(), Owner: o.Node, Open: true, Since: storeNow, Lease: storeNow.Add(o.Lease),
		RTDigest: f.c.ring.Digest("refresh token", w.grant.Refresh.Reveal()),
	}
	switch err := f.v.swap(ctx, f.c, w.row.Version(), row); {
	case err == nil:
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		return Access{}, false, nil
	default:
		// Written or not? Without certainty nothing is presented. If it was
		// written after all, it must not look like a crash for ever.
		f.c.observe(Event{Name: EventSaveError, Sref: f.c.ring.Sref(row.Key), Issuer: w.grant.Issuer, Err: err})
		s := f.outcome(row, w.grant, NotSent{err}, asked)
		f.v.keepSaving(ctx, f.c, s)
		a, err := f.makeDo(w, unavailable(0, "writing an intent: %w", err))
		return a, true, err
	}
	// The process may have slept since. Ending at asked + TokenTimeout, the
	// call ends before the lease does.
	before := o.Now()
	var out Outcome = NotSent{errors.New("no time was left to ask the authorization server")}
	if left := o.TokenTimeout - before.Sub(asked); left > 0 {
		out = f.call(ctx, left, w.grant)
	}
	after := o.Now()
	f.c.observe(Event{Name: EventRenewal, Sref: f.c.ring.Sref(row.Key), Issuer: w.grant.Issuer,
		Detail: out.name(), Kind: w.grant.Kind, Took: after.Sub(before), Err: cause(out)})
	f.report(ctx, w.grant, out, after)
	s := f.outcome(row, w.grant, out, before)
	return f.conclude(ctx, w, s)
}

// call asks the AS. A panic there says nothing of what was sent.
func (f *flight) call(ctx context.Context, left time.Duration, g Grant) (out Outcome) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), left)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			out = Unknown{Err: errors.New("renewing a grant panicked")}
		}
	}()
	if out = f.c.o.Renew(ctx, g); out == nil {
		out = Unknown{Err: errors.New("renewing a grant told nothing")}
	}
	return out
}

// conclude writes the outcome and says what the waiting get.
func (f *flight) conclude(ctx context.Context, w *view, s *saving) (a Access, over bool, err error) {
	switch f.v.write(ctx, f.c, s) {
	case saved:
		if s.row.Dead {
			return Access{}, true, ErrNoGrant
		}
		if s.untimely != nil {
			a, err := f.makeDo(w, unavailable(s.row.NotBefore.Sub(f.c.o.Now()), "%w", s.untimely))
			return a, true, err
		}
		if s.pair == nil || s.salvaged || !s.pair.Expiry.After(f.c.o.Now()) {
			return Access{}, false, nil
		}
		done := view{row: s.row, grant: *s.pair}
		return done.access(), true, nil
	case lost:
		return Access{}, false, nil
	}
	f.v.keepSaving(ctx, f.c, s)
	if !s.serves() || s.salvaged {
		a, err := f.makeDo(w, unavailable(0, "the outcome of a renewal is not saved yet"))
		return a, true, err
	}
	done := view{row: s.row, grant: *s.pair, unsaved: true}
	return done.access(), true, nil
}
