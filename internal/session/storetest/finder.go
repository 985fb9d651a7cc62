package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// finderOf is the store's way to find rows, once all are indexed.
func finderOf(t *testing.T, s session.Store) session.Finder {
	t.Helper()
	f, ok := s.(session.Finder)
	if !ok {
		t.Skip("this store is walked")
	}
	Indexed(t, s)
	return f
}

// Indexed waits until a store has all rows in its indexes.
func Indexed(t testing.TB, s session.Store) {
	t.Helper()
	f := s.(session.Finder)
	for end := time.After(20 * time.Second); ; {
		ok, err := f.Indexed(t.Context())
		if ok {
			return
		}
		select {
		case <-end:
			t.Fatal("the rows are not indexed: ", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// WantFound fails unless the indexes of a store tell what a walk tells. Which intents
// are open a store need not know that was opened anew.
func WantFound(t testing.TB, s session.Store) {
	t.Helper()
	n, want := wantFound(t, s)
	n.Renewing, n.Uncertain = 0, n.Renewing+n.Uncertain
	want.Renewing, want.Uncertain = 0, want.Renewing+want.Uncertain
	if n != want {
		t.Errorf("counted %+v, by a walk %+v", n, want)
	}
}

// place is where an index has rows.
type place struct {
	by session.Index
	id session.ID
}

// walked is what a walk tells of a store.
type walked struct {
	under  map[place][]session.Key
	keys   map[session.Key]bool
	counts session.Counts
}

func (w *walked) see(r *session.Row, now time.Time) {
	if w.keys[r.Key] { // it may be shown twice
		return
	}
	w.keys[r.Key] = true
	for _, by := range session.Indexes {
		if id := r.Under(by); id != (session.ID{}) {
			w.under[place{by, id}] = append(w.under[place{by, id}], r.Key)
		}
	}
	switch r.Standing() {
	case session.Settled:
		w.counts.Live++
	case session.Ended:
		w.counts.Dead++
	case session.Unsettled:
		if r.Intent.Open && !now.After(r.Intent.Lease) {
			w.counts.Renewing++
		} else {
			w.counts.Uncertain++
		}
	}
}

func wantFound(t testing.TB, s session.Store) (counted, want session.Counts) {
	t.Helper()
	f := s.(session.Finder)
	now, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := walked{under: map[place][]session.Key{}, keys: map[session.Key]bool{}}
	if err := s.Each(t.Context(), func(r session.Row) bool { w.see(&r, now); return true }); err != nil {
		t.Fatal(err)
	}
	for at, rows := range w.under {
		wantUnder(t, f, at, rows)
	}
	if counted, err = f.Counts(t.Context(), now); err != nil {
		t.Error(err)
	}
	var all []session.Key
	if err := f.Keys(t.Context(), func(key session.Key) bool { all = append(all, key); return true }); err != nil {
		t.Error(err)
	}
	sortKeys(all)
	all = slices.Compact(all)
	if len(all) != len(w.keys) || slices.ContainsFunc(all, func(key session.Key) bool { return !w.keys[key] }) {
		t.Errorf("%d keys are shown, a walk shows %d rows", len(all), len(w.keys))
	}
	return counted, w.counts
}

func wantUnder(t testing.TB, f session.Finder, at place, want []session.Key) {
	t.Helper()
	var found []session.Key
	err := f.Find(t.Context(), at.by, at.id, func(r session.Row) bool {
		found = append(found, r.Key)
		if r.Under(at.by) != at.id || r.Until.IsZero() {
			t.Errorf("index %d shows %+v", at.by, r)
		}
		return true
	})
	sortKeys(want)
	sortKeys(found)
	if err != nil || !slices.Equal(want, found) {
		t.Errorf("index %d finds %d rows (%v), a walk %d", at.by, len(found), err, len(want))
	}
	if n, err := f.Number(t.Context(), at.by, at.id); n != len(want) || err != nil {
		t.Errorf("index %d counts %d (%v), a walk %d", at.by, n, err, len(want))
	}
}

func sortKeys(keys []session.Key) {
	slices.SortFunc(keys, func(a, b session.Key) int { return slices.Compare(a[:], b[:]) })
}

func findsAll(t *testing.T, s session.Store) {
	finderOf(t, s)
	var rows []session.Row
	for seed := range uint64(4) {
		rows = Scramble(t, s, rand.New(rand.NewPCG(seed, 0)), rows, 60)
		if n, want := wantFound(t, s); n != want || t.Failed() {
			t.Fatalf("after round %d: counted %+v, by a walk %+v", seed, n, want)
		}
	}
	f := s.(session.Finder)
	shown := 0
	for _, by := range session.Indexes {
		if err := f.Find(t.Context(), by, session.ID{0: 1, 15: 1}, func(session.Row) bool { shown++; return false }); err != nil {
			t.Error(err)
		}
	}
	if shown > len(session.Indexes) {
		t.Errorf("%d rows were shown after the first of each was enough", shown)
	}
}

// sweepsWhatIsDue: what is idle is due, what is in use is not, and neither is
// looked at again at once.
func sweepsWhatIsDue(t *testing.T, s session.Store) {
	f := finderOf(t, s)
	const idle = 30 * time.Minute
	now, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	over := func(r *session.Row) bool {
		return r.Until.Before(now) || r.Purpose == session.ForGrant && !r.Dead && !r.Intent.Open && r.LastUsed.Before(now.Add(-idle))
	}
	for seed := range uint64(3) {
		rows := Scramble(t, s, rand.New(rand.NewPCG(seed, 7)), nil, 120)
		var want []session.Key
		for _, r := range rows {
			if over(&r) {
				want = append(want, r.Key)
			}
		}
		sortKeys(want)
		looked := 0
		due := func(most int) (keys []session.Key, more bool) {
			t.Helper()
			keys, more, err := f.Due(t.Context(), now.Add(-idle), now, func(r *session.Row) bool { looked++; return over(r) }, most)
			if err != nil {
				t.Fatal(err)
			}
			sortKeys(keys)
			return keys, more
		}
		if some, more := due(1); len(some) != 1 || !more {
			t.Errorf("%d of %d are due, more: %v", len(some), len(want), more)
		}
		if keys, more := due(10_000); !slices.Equal(keys, want) || more {
			t.Errorf("%d are due, more: %v, want %d", len(keys), more, len(want))
		}
		for _, key := range want {
			if err := s.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		if keys, more := due(10_000); len(keys) > 0 || more {
			t.Errorf("%d are due again, more: %v", len(keys), more)
		}
		looked = 0
		if due(10_000); looked > 0 {
			t.Errorf("%d rows are looked at anew each time", looked)
		}
		for _, r := range rows {
			_ = s.Delete(t.Context(), r.Key)
		}
	}
}

// endedFinder: an ended context is an error there too.
func endedFinder(t *testing.T, s session.Store) {
	f := finderOf(t, s)
	r := row(t, s)
	r.Purpose = session.ForGrant
	if err := s.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, number := f.Number(ctx, session.BySubject, r.Subject)
	_, counts := f.Counts(ctx, r.Created)
	_, _, due := f.Due(ctx, r.Until, r.Until, func(*session.Row) bool { return false }, 1)
	for name, err := range map[string]error{
		"number": number, "counts": counts, "due": due,
		"find": f.Find(ctx, session.BySubject, r.Subject, func(session.Row) bool { return true }),
		"keys": f.Keys(ctx, func(session.Key) bool { return true }),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, fmt.Sprint(err))
		}
	}
}

func stretches(t *testing.T, s session.Store) {
	pager, ok := s.(session.Pager)
	if !ok {
		t.Skip("this store has no pages")
	}
	want := map[session.Key]bool{}
	for range 700 {
		r := row(t, s)
		r.Sealed = nil
		if err := s.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		want[r.Key] = true
	}
	pieces := 0
	for at := ""; pieces == 0 || at != ""; pieces++ {
		var err error
		shown := 0
		if at, err = pager.Stretch(t.Context(), at, func(r session.Row) { delete(want, r.Key); shown++ }); err != nil {
			t.Fatal(err)
		}
		if shown > 699 {
			t.Error("it shows all at once")
		}
	}
	if len(want) > 0 {
		t.Errorf("%d rows were not shown on %d pages", len(want), pieces)
	}
	if _, err := pager.Stretch(t.Context(), "no position", func(session.Row) {}); !errors.Is(err, session.ErrNoPage) {
		t.Error(err)
	}
}
