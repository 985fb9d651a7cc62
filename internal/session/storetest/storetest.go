// Package storetest is the one suite that every store of grants passes.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// Run tests the stores that open answers: a new and empty one each time, which
// open itself closes with the test that it is given.
func Run(t *testing.T, open func(t *testing.T) session.Store) {
	for name, test := range map[string]func(*testing.T, session.Store){
		"what is not there is not found":         notFound,
		"a row comes back as it was":             comesBack,
		"a row is created once":                  createdOnce,
		"a swap compares generation and intent":  compares,
		"a swap does not compare the clock":      ignoresTheClock,
		"rows share no memory":                   sharesNothing,
		"a deleted row is gone":                  deleted,
		"every row is shown":                     showsAll,
		"an ended context is not an answer":      endedContext,
		"of many swaps one wins":                 oneWins,
		"the clock runs forward":                 clockRuns,
		"a waker wakes, if the store has one":    wakes,
		"who has caught up was told of all":      catchesUp,
		"an index finds what a walk finds":       findsAll,
		"what is due is found, and nothing else": sweepsWhatIsDue,
		"an ended context finds nothing":         endedFinder,
		"stretches show what a walk shows":       stretches,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
	t.Run("failing at each call in turn it loses no grant", func(t *testing.T) { failing(t, open, renewOnce) })
	t.Run("failing at each call in turn it loses no refresh token", func(t *testing.T) { failing(t, open, rotateOnce) })
}

func row(t *testing.T, s session.Store) session.Row {
	t.Helper()
	now, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return session.Row{
		Key: session.NewHandle().Key(), Generation: 7,
		Intent: session.Intent{ID: session.NewID(), Owner: session.NewID(), Open: true, Since: now,
			Lease: now.Add(20 * time.Second), RTDigest: session.NewID()},
		Settled: session.NewID(), Doubts: 1, DoubtSince: now, Fails: 3, NotBefore: now.Add(time.Second), Reason: "reason",
		Created: now, LastUsed: now, Until: now.Add(time.Hour), Subject: session.NewID(),
		Purpose: session.ForFamily, Sealed: []byte{0, 1, 2, 255},
		User: session.NewID(), Session: session.NewID(), Note: []byte{3, 0, 254},
	}
}

func create(t *testing.T, s session.Store) session.Row {
	t.Helper()
	r := row(t, s)
	if err := s.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func wantError(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// wantRow compares in the one encoding, since a time has many spellings.
func wantRow(t *testing.T, s session.Store, want session.Row) {
	t.Helper()
	got, err := s.Load(t.Context(), want.Key)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := got.MarshalBinary()
	b, _ := want.MarshalBinary()
	if !bytes.Equal(a, b) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func notFound(t *testing.T, s session.Store) {
	r := row(t, s)
	_, err := s.Load(t.Context(), r.Key)
	wantError(t, err, session.ErrNotFound)
	wantError(t, s.CompareAndSwap(t.Context(), r.Version(), r), session.ErrNotFound)
	_, err = s.Load(t.Context(), r.Key)
	wantError(t, err, session.ErrNotFound)
}

func comesBack(t *testing.T, s session.Store) {
	r := create(t, s)
	create(t, s)
	wantRow(t, s, r)
	old := r.Version()
	r.Generation, r.Intent, r.Sealed, r.Dead, r.Doubts = 8, session.Intent{}, nil, true, 0
	r.DoubtSince, r.NotBefore = time.Time{}, time.Time{}
	wantError(t, s.CompareAndSwap(t.Context(), old, r), nil)
	wantRow(t, s, r)
}

func createdOnce(t *testing.T, s session.Store) {
	r := create(t, s)
	other := r
	other.Generation = 1
	wantError(t, s.Create(t.Context(), other), session.ErrExists)
	wantRow(t, s, r)
}

func compares(t *testing.T, s session.Store) {
	r := create(t, s)
	next := r
	next.Generation++
	for _, old := range []session.Version{
		{Generation: r.Generation - 1, Intent: r.Intent.ID}, {Generation: r.Generation + 1, Intent: r.Intent.ID},
		{Generation: r.Generation, Intent: session.NewID()}, {Generation: r.Generation}, {},
	} {
		wantError(t, s.CompareAndSwap(t.Context(), old, next), session.ErrConflict)
	}
	wantRow(t, s, r)
	wantError(t, s.CompareAndSwap(t.Context(), r.Version(), next), nil)
	wantRow(t, s, next)
	wantError(t, s.CompareAndSwap(t.Context(), r.Version(), next), session.ErrConflict)
}

func ignoresTheClock(t *testing.T, s session.Store) {
	r := create(t, s)
	next := r
	next.Intent.Lease = r.Created.Add(-time.Hour)
	wantError(t, s.CompareAndSwap(t.Context(), r.Version(), next), nil)
	after := next
	after.Generation++
	wantError(t, s.CompareAndSwap(t.Context(), next.Version(), after), nil)
	wantRow(t, s, after)
}

func sharesNothing(t *testing.T, s session.Store) {
	r := row(t, s)
	given := r
	given.Sealed = bytes.Clone(r.Sealed)
	wantError(t, s.Create(t.Context(), given), nil)
	given.Sealed[0] = 'x'
	wantRow(t, s, r)
	taken, err := s.Load(t.Context(), r.Key)
	wantError(t, err, nil)
	taken.Sealed[0] = 'y'
	wantRow(t, s, r)
}

func deleted(t *testing.T, s session.Store) {
	r := create(t, s)
	wantError(t, s.Delete(t.Context(), r.Key), nil)
	wantError(t, s.Delete(t.Context(), r.Key), nil)
	_, err := s.Load(t.Context(), r.Key)
	wantError(t, err, session.ErrNotFound)
}

func showsAll(t *testing.T, s session.Store) {
	want := map[session.Key]bool{}
	for range 50 {
		want[create(t, s).Key] = true
	}
	wantError(t, s.Each(t.Context(), func(r session.Row) bool {
		if !want[r.Key] {
			t.Errorf("%x is shown twice or was never there", r.Key)
		}
		if r.Generation != 7 || r.Purpose != session.ForFamily || r.Until.IsZero() {
			t.Errorf("a row has lost its head: %+v", r)
		}
		delete(want, r.Key)
		return true
	}), nil)
	if len(want) > 0 {
		t.Errorf("%d rows were not shown", len(want))
	}
	shown := 0
	wantError(t, s.Each(t.Context(), func(session.Row) bool { shown++; return shown < 3 }), nil)
	if shown != 3 {
		t.Errorf("%d rows were shown after the third was enough", shown)
	}
}

func endedContext(t *testing.T, s session.Store) {
	r := create(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	next := r
	next.Generation++
	_, load := s.Load(ctx, r.Key)
	for name, err := range map[string]error{"load": load, "swap": s.CompareAndSwap(ctx, r.Version(), next), "create": s.Create(ctx, row(t, s))} {
		if err == nil || errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrConflict) || errors.Is(err, session.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantRow(t, s, r)
}

func oneWins(t *testing.T, s session.Store) {
	r := create(t, s)
	const nodes, each = 8, 20
	var wins atomic.Uint64
	var all sync.WaitGroup
	for range nodes {
		all.Go(func() {
			for range each {
				now, err := s.Load(t.Context(), r.Key)
				if err != nil {
					t.Error(err)
					return
				}
				next := now
				next.Generation++
				next.Intent.ID = session.NewID()
				switch err := s.CompareAndSwap(t.Context(), now.Version(), next); {
				case err == nil:
					wins.Add(1)
				case !errors.Is(err, session.ErrConflict):
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	last, err := s.Load(t.Context(), r.Key)
	wantError(t, err, nil)
	if last.Generation != r.Generation+wins.Load() || wins.Load() < each {
		t.Errorf("generation %d after %d wins from %d", last.Generation, wins.Load(), r.Generation)
	}
}

func clockRuns(t *testing.T, s session.Store) {
	before, err := s.Now(t.Context())
	wantError(t, err, nil)
	after, err := s.Now(t.Context())
	wantError(t, err, nil)
	if before.IsZero() || after.Before(before) {
		t.Errorf("%v, then %v", before, after)
	}
}
