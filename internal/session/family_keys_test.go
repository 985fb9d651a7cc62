package session

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

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
	if _, _, err := b.vault.Grant(t.Context(), b.h); !errors.Is(err, ErrNoGrant) {
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
