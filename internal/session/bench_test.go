package session

import (
	"context"
	"testing"
	"time"
)

// A request with a live token: one read of the store, one record opened.
func BenchmarkTokenFresh(b *testing.B) {
	ring := testRing(b, 1)
	v, err := New(NewMemory(time.Now), ring, Options{Now: time.Now, Renew: never})
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
