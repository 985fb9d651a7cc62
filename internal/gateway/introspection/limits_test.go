package introspection

import (
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

func TestOneAddressGetsHalfOfTheRate(t *testing.T) {
	limits, now := newAskLimits(20), time.Unix(1_800_000_000, 0)
	known, other := token.Digest{1}, token.Digest{2}
	limits.learn(known, true)
	count := func(address string, key token.Digest) (n int) {
		for range 100 {
			if limits.allow(address, key, now) {
				n++
			}
		}
		return n
	}
	if n := count("192.0.2.1", known); n != 10 {
		t.Errorf("one address got %d of 20 for what is known", n)
	}
	if n := count("2001:db8::1", other) + count("2001:db8::2", other); n != 5 {
		t.Errorf("one network got %d of the 5 that are left for what is new", n)
	}
	if n := count("192.0.2.3", other); n != 0 {
		t.Errorf("beyond all a third one got %d for what is new", n)
	}
	if n := count("192.0.2.4", known); n != 5 {
		t.Errorf("a fourth one got %d of the 5 that are kept for what is known", n)
	}
	if one := newAskLimits(1); !one.allow("192.0.2.1", other, now) || one.allow("192.0.2.2", other, now) {
		t.Error("a rate of one is not one")
	}
}

func TestOneAddressKeepsAQuarterOfItsShareForTokensThatAreKnown(t *testing.T) {
	limits, now := newAskLimits(1000), time.Unix(1_800_000_000, 0)
	known, other := token.Digest{1}, token.Digest{2}
	limits.learn(known, true)
	count := func(key token.Digest) (n int) {
		for range 1000 {
			if limits.allow("192.0.2.1", key, now) {
				n++
			}
		}
		return n
	}
	if n := count(other); n != 375 {
		t.Errorf("%d calls of 500 about what is new", n)
	}
	if n := count(known); n != 125 {
		t.Errorf("%d calls of 500 about what is known", n)
	}
	limits.learn(known, false)
	now = now.Add(100 * time.Millisecond)
	if n := count(known); n != 0 {
		t.Errorf("%d calls about what was revoked, before what is new", n)
	}
}

// What is not asked takes nothing from an address either.
func TestWhatAllMayNotAskCostsAnAddressNothing(t *testing.T) {
	limits, now := newAskLimits(2), time.Unix(1_800_000_000, 0)
	if !limits.allow("192.0.2.1", token.Digest{}, now) || !limits.allow("192.0.2.2", token.Digest{}, now) || limits.allow("192.0.2.3", token.Digest{}, now) {
		t.Fatal("two calls are not two")
	}
	now = now.Add(500 * time.Millisecond) // one more for all; the third one has its whole share
	if !limits.allow("192.0.2.3", token.Digest{}, now) {
		t.Error("the refusal was charged")
	}
}
