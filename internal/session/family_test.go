package session

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// familyBench is a bench whose grant has refresh tokens: names maps what they
// are called in a test, r1, r2, …, to their texts.
type familyBench struct {
	*bench
	names map[string]string
}

func newFamily(t *testing.T) *familyBench {
	t.Helper()
	b := &familyBench{newBench(t, nil, always), map[string]string{}}
	first, err := b.vault.StartFamily(t.Context(), b.h)
	if err != nil {
		t.Fatal(err)
	}
	b.names["r1"] = first.Reveal()
	return b
}

// rotate presents a token and compares: the successor's name, or the words of
// an error. A successor that is seen first gets its name here.
func (b *familyBench) rotate(name, want string) {
	b.t.Helper()
	h, access, next, err := b.vault.Rotate(context.Background(), b.names[name])
	got := ""
	_, ours := errors.AsType[*Unavailable](err)
	switch {
	case errors.Is(err, ErrNoGrant):
		got = "no grant"
	case ours:
		got = "unavailable"
	case err != nil:
		got = err.Error()
	default:
		if h.Reveal("") != b.h.Reveal("") || access.Token.Reveal() == "" {
			b.t.Errorf("%s opens another grant", name)
		}
		for known, text := range b.names {
			if text == next.Reveal() {
				got = known
			}
		}
		if _, known := b.names[want]; got == "" && !known {
			got, b.names[want] = want, next.Reveal()
		}
	}
	if got != want {
		b.t.Errorf("%s gets %q (%v), want %s", name, got, err, want)
	}
}

func (b *familyBench) count(name string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Name == name {
			n++
		}
	}
	return n
}

// Each row is a story: what is presented, what it gets, pauses between.
func TestARefreshTokenRotatesAtUse(t *testing.T) {
	for name, row := range map[string]struct {
		story []string
		alive string // what the grant answers in the end
		reuse int
	}{
		"one after the other":                   {[]string{"r1 r2", "r2 r3", "r3 r4"}, "at1", 0},
		"again within a minute":                 {[]string{"r1 r2", "r1 r2", "60s", "r1 r2", "r2 r3"}, "at1", 0},
		"again too late does no harm":           {[]string{"r1 r2", "61s", "r1 no grant", "r2 r3"}, "at1", 0},
		"the minute begins with the first use":  {[]string{"r1 r2", "40s", "r1 r2", "40s", "r1 no grant"}, "at1", 0},
		"after its successor was used, at once": {[]string{"r1 r2", "r2 r3", "r1 no grant", "r3 no grant", "r1 no grant"}, "no grant", 1},
		"after its successor was used, later":   {[]string{"r1 r2", "r2 r3", "61s", "r1 no grant", "r3 no grant"}, "no grant", 1},
		"long after":                            {[]string{"r1 r2", "r2 r3", "r3 r4", "r4 r5", "r2 no grant", "r5 no grant"}, "no grant", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFamily(t)
				for _, line := range row.story {
					if pause, err := time.ParseDuration(line); err == nil {
						time.Sleep(pause)
						continue
					}
					presented, want, _ := strings.Cut(line, " ")
					b.rotate(presented, want)
				}
				if n := b.count(EventReuse); n != row.reuse {
					t.Errorf("%d reuses were told", n)
				}
				if row.alive == "no grant" {
					b.want("no grant")
					if !slices.Equal(b.revoked, []string{"at1/rt1"}) {
						t.Errorf("given back: %v", b.revoked)
					}
				} else if g, _, err := b.vault.Grant(t.Context(), b.h); err != nil || g.AccessToken.Reveal() != row.alive {
					t.Error(g.AccessToken.Reveal(), err)
				}
				b.wantCalls(0)
			})
		})
	}
}

func TestATokenPresentedTwiceAtOnceHasOneSuccessor(t *testing.T) {
	b := newFamily(t)
	var all sync.WaitGroup
	texts := make([]string, 20)
	for i := range texts {
		all.Go(func() {
			_, _, next, err := b.vault.Rotate(t.Context(), b.names["r1"])
			if err != nil {
				t.Error(err)
			}
			texts[i] = next.Reveal()
		})
	}
	all.Wait()
	if len(slices.Compact(texts)) != 1 {
		t.Error("there are several successors")
	}
	b.names["r2"] = texts[0]
	b.rotate("r2", "r3")
}

// amid is a store in whose next swap something happens first, or last.
type amid struct {
	*Memory
	first, last func() error
}

func (a *amid) CompareAndSwap(ctx context.Context, old Version, next Row) error {
	first, last := a.first, a.last
	a.first, a.last = nil, nil
	if first != nil {
		if err := first(); err != nil {
			return err
		}
	}
	err := a.Memory.CompareAndSwap(ctx, old, next)
	if last != nil {
		err = errors.Join(err, last())
	}
	return err
}

// Another node was faster, or the store took the write and answered an error:
// the successor is found all the same.
func TestASuccessorIsFoundThoughTheSwapFailed(t *testing.T) {
	for name, change := range map[string]func(b *familyBench, s *amid){
		"another was faster": func(b *familyBench, s *amid) { s.first = func() error { b.rotate("r1", "r2"); return nil } },
		"an error, too late": func(_ *familyBench, s *amid) { s.last = func() error { return errTest } },
	} {
		t.Run(name, func(t *testing.T) {
			b := newFamily(t)
			store := &amid{Memory: b.store}
			b.vault.store = store
			change(b, store)
			b.rotate("r1", "r2")
			b.rotate("r2", "r3")
		})
	}
	b := newFamily(t)
	b.vault.store = &amid{Memory: b.store, first: func() error {
		b.rotate("r1", "r2")
		b.rotate("r2", "r3")
		return nil
	}}
	b.rotate("r1", "no grant") // presented when it was good: no reuse
	b.rotate("r3", "r4")
	b = newFamily(t)
	b.vault.store = &amid{Memory: b.store, first: func() error { return errTest }}
	b.rotate("r1", "unavailable")
	b.rotate("r1", "r2")
	b.rotate("r2", "r3")
}

// Nothing but what was issued is a refresh token.
func TestForgedRefreshTokensOpenNothing(t *testing.T) {
	b := newFamily(t)
	good := b.names["r1"]
	raw, _ := base64.RawURLEncoding.DecodeString(good[4:])
	b.rotate("r1", "r2")
	for i := range raw {
		forged := bytes.Clone(raw)
		forged[i] ^= 1
		text := RefreshPrefix + base64.RawURLEncoding.EncodeToString(forged)
		if _, _, _, err := b.vault.Rotate(t.Context(), text); !errors.Is(err, ErrNoGrant) {
			t.Errorf("byte %d: %v", i, err)
		}
		if _, err := b.vault.OpenFamily(t.Context(), text); !errors.Is(err, ErrNoGrant) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	// The family's lookup and secret are no handle of a grant, nor the other way round.
	var p parts
	copy(p.lookup[:], raw)
	copy(p.secret[:], raw[lookupSize:])
	if _, err := b.vault.Token(t.Context(), handleOf(&p)); !errors.Is(err, ErrNoGrant) {
		t.Error(err)
	}
	if err := b.vault.EndKey(t.Context(), (&refresh{family: handleOf(&p)}).key(), EndedLogout); !errors.Is(err, ErrNoGrant) {
		t.Error(err)
	}
	b.rotate("r2", "r3")
	b.rotate("r2", "r3")
}
