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
				} else if g, err := b.vault.Grant(t.Context(), b.h); err != nil || g.AccessToken.Reveal() != row.alive {
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

func TestRefreshTokensSurviveARotationOfTheKeyring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFamily(t)
		apply := func(current byte, previous ...byte) {
			var rest [][]byte
			for _, fill := range previous {
				rest = append(rest, fillKey(fill))
			}
			if err := b.vault.Apply(testRing(t, current, rest...), b.vault.cfg.Load().o); err != nil {
				t.Fatal(err)
			}
		}
		b.rotate("r1", "r2")
		apply(2, 1)
		b.rotate("r1", "r2") // the same text
		b.rotate("r2", "r3")
		b.rotate("r2", "r3")
		apply(3, 2, 1)
		b.rotate("r3", "r4")
		apply(9)
		b.rotate("r4", "unavailable") // the operator's fault, not the client's
		b.rotate("r3", "unavailable")
		apply(3, 2, 1)
		b.rotate("r4", "r5")
	})
}

func TestOpeningAFamilyChangesNothing(t *testing.T) {
	b := newFamily(t)
	b.rotate("r1", "r2")
	b.rotate("r2", "r3")
	for _, name := range []string{"r1", "r2", "r3"} {
		if h, err := b.vault.OpenFamily(t.Context(), b.names[name]); err != nil || h.Reveal("") != b.h.Reveal("") {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.rotate("r3", "r4")
}

func TestAnEndedGrantHasNoRefreshTokens(t *testing.T) {
	b := newFamily(t)
	b.rotate("r1", "r2")
	if err := b.vault.End(t.Context(), b.h, EndedLogout); err != nil {
		t.Fatal(err)
	}
	b.rotate("r2", "no grant")
	b.rotate("r1", "no grant")
	if _, err := b.vault.StartFamily(t.Context(), b.h); !errors.Is(err, ErrNoGrant) {
		t.Error(err)
	}
	if _, err := b.vault.Grant(t.Context(), b.h); !errors.Is(err, ErrNoGrant) {
		t.Error(err)
	}
}

// A family is no grant: who lists or counts grants does not meet it, and its
// row says nothing of the grant's.
func TestAFamilyIsNotListed(t *testing.T) {
	b := newFamily(t)
	listed := 0
	if err := b.vault.List(t.Context(), func(Summary) bool { listed++; return true }); err != nil || listed != 1 {
		t.Errorf("%d are listed: %v", listed, err)
	}
	rows := 0
	err := b.store.Each(t.Context(), func(row Row) bool {
		rows++
		text, _ := row.MarshalBinary()
		p := b.h.parts()
		for what, secret := range map[string][]byte{"lookup": p.lookup[:], "secret": p.secret[:], "token": []byte("at1")} {
			if bytes.Contains(text, secret) {
				t.Errorf("a row shows the grant's %s", what)
			}
		}
		if row.Purpose == ForFamily && row.Subject != (ID{}) {
			t.Error("a family's row names a subject")
		}
		return true
	})
	if err != nil || rows != 2 {
		t.Errorf("%d rows: %v", rows, err)
	}
	if n, err := b.vault.EndSubject(t.Context(), "", "", EndedLogout); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// A refresh token has one spelling, and its prefix belongs to it.
func FuzzRefresh(f *testing.F) {
	r := refresh{number: 300}
	good := r.text().Reveal()
	for _, seed := range []string{good, "oga_" + good[4:], good + "=", good[:99] + "\n", good[:99] + "+", good[4:], good[:99], good + "A",
		NewHandle().Reveal("ogr_"), "ogr_" + strings.Repeat("\n", 96), "ogr_" + strings.Repeat("_", 96)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, ok := parseRefresh(text)
		if ok != (len(text) == 100 && strings.HasPrefix(text, "ogr_") && strings.Trim(text[4:],
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == "") || ok != IsRefreshText(text) {
			t.Errorf("%q: %v", text, ok)
		}
		if ok && r.text().Reveal() != text {
			t.Errorf("%q is spelled %q", text, r.text().Reveal())
		}
		if !ok && r != (refresh{}) {
			t.Error("half a token")
		}
	})
}
