package session

import (
	"context"
	"testing"
	"time"
)

// A request with a live token, before a store that others write to, and before
// one that no other process does.
func BenchmarkTokenFresh(b *testing.B) {
	for name, store := range map[string]Store{"shared": NewMemory(time.Now), "exclusive": exclusive{NewMemory(time.Now)}} {
		b.Run(name, func(b *testing.B) { benchmarkFresh(b, store) })
	}
}

// exclusive is a memory store of one vault.
type exclusive struct{ *Memory }

func (exclusive) Exclusive() bool { return true }

func benchmarkFresh(b *testing.B, store Store) {
	ring := testRing(b, 1)
	v, err := New(store, ring, Options{Now: time.Now, Renew: never})
	if err != nil {
		b.Fatal(err)
	}
	life := time.Hour
	h, _, err := v.Create(b.Context(), Grant{Issuer: "iss", Subject: "sub"},
		Granted{AccessToken: NewSecret(string(make([]byte, 1200))), Refresh: NewSecret("rt"), ExpiresIn: &life}, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	text := h.Reveal("oga_")
	b.ReportAllocs()
	for b.Loop() {
		h, _ := ParseHandle("oga_", text)
		if _, err := v.Token(b.Context(), h); err != nil {
			b.Fatal(err)
		}
	}
}

func never(context.Context, Grant) Outcome { return nil }
