package session

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// Whatever the pages' size, together they show each grant once.
func TestPagesOfGrantsShowEachOnce(t *testing.T) {
	for name, store := range map[string]Store{
		"of a store with pages": NewMemory(time.Now),
		"of one without":        struct{ Store }{NewMemory(time.Now)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil, always)
			b.vault.store = store
			const all = 600
			want := map[string]bool{}
			for n := range all {
				h := b.create("iss", []string{"alice", "bob", "carol"}[n%3])
				want[b.vault.cfg.Load().ring.Sref(h.Key())] = true
			}
			walk := func(p Page) (seen []string, pages int) {
				t.Helper()
				for {
					pages++
					end, looked, err := b.vault.ListPage(t.Context(), p, func(one Summary) { seen = append(seen, one.Sref) })
					if err != nil || looked > p.Look+256 && name == "of a store with pages" {
						t.Fatalf("%d looked at: %v", looked, err)
					}
					if p.After = end; end == "" {
						return seen, pages
					}
				}
			}
			for _, most := range []int{1, 7, 256, 300, 10_000} {
				seen, pages := walk(Page{Most: most, Look: 10_000})
				slices.Sort(seen)
				if len(slices.Compact(seen)) != all || len(seen) != all || slices.ContainsFunc(seen, func(s string) bool { return !want[s] }) {
					t.Errorf("pages of %d: %d grants", most, len(seen))
				}
				if least := all / most; pages < least {
					t.Errorf("%d pages of %d", pages, most)
				}
				seen, _ = walk(Page{Most: most, Look: 10_000, Issuer: "iss", Subject: "bob"})
				slices.Sort(seen)
				if len(slices.Compact(seen)) != all/3 {
					t.Errorf("pages of %d of one subject: %d grants", most, len(seen))
				}
			}
			if seen, pages := walk(Page{Most: 10, Look: 100, Fits: func(Summary) bool { return false }}); len(seen) > 0 || pages < 3 && name == "of a store with pages" {
				t.Errorf("%d fit of none, on %d pages", len(seen), pages)
			}
			for _, after := range []string{"x", "zz.00", ".x"} {
				if _, _, err := b.vault.ListPage(t.Context(), Page{Most: 1, Look: 1, After: after}, func(Summary) {}); after != "zz.00" && !errors.Is(err, ErrNoPage) && name == "of a store with pages" {
					t.Errorf("after %q: %v", after, err)
				}
			}
		})
	}
}

// The logs of before a rotation name grants by the key of then.
func TestAGrantIsEndedByItsNameInTheLogs(t *testing.T) {
	for name, store := range map[string]Store{"by an index": NewMemory(time.Now), "by a walk": struct{ Store }{NewMemory(time.Now)}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil, always)
			b.vault.store = store
			first, second, other := b.create("iss", "a"), b.create("iss", "b"), b.create("iss", "c")
			before := b.vault.cfg.Load().ring
			if err := b.vault.Apply(testRing(t, 2, fillKey(1)), b.vault.cfg.Load().o); err != nil {
				t.Fatal(err)
			}
			for _, sref := range []string{before.Sref(first.Key()), b.vault.cfg.Load().ring.Sref(second.Key())} {
				if err := b.vault.EndNamed(t.Context(), sref, EndedAdmin); err != nil {
					t.Error(err)
				}
			}
			for _, sref := range []string{before.Sref(first.Key()), "", "ABC", before.Sref(Key{1}), "!!!!!!!!!!!!!!!!"} {
				if err := b.vault.EndNamed(t.Context(), sref, EndedAdmin); !errors.Is(err, ErrNoGrant) {
					t.Errorf("%q: %v", sref, err)
				}
			}
			for h, ended := range map[Handle]bool{first: true, second: true, other: false} {
				if _, err := b.vault.Token(t.Context(), h); errors.Is(err, ErrNoGrant) != ended {
					t.Errorf("%v, ended: %v", err, ended)
				}
			}
		})
	}
}
