package as

import (
	"testing"
	"time"
)

func TestABreakerOpensAfterFiveFailuresInARowAndLetsOneCallTry(t *testing.T) {
	var b Breaker
	now := time.Unix(1_800_000_000, 0)
	fail := func(n int) {
		for range n {
			if wait := b.Wait(now, time.Second); wait > 0 {
				t.Fatalf("nobody may ask for %s", wait)
			}
			b.Report(now, true, 0)
		}
	}
	fail(4)
	b.Report(now, false, 0) // a good one in between begins anew
	fail(5)
	pause := breakLeast
	for pause < breakMost {
		if wait := b.Wait(now, time.Second); wait != pause || b.Open(now) != pause {
			t.Fatalf("closed for %s, want %s", wait, pause)
		}
		now = now.Add(pause)
		if wait := b.Wait(now, 5*time.Second); wait != 0 {
			t.Fatalf("after the pause nobody may ask for %s", wait)
		}
		if wait := b.Wait(now, 5*time.Second); wait != 5*time.Second {
			t.Fatalf("beside the one that tries others may ask in %s", wait)
		}
		b.Report(now, true, 0)
		pause = min(2*pause, breakMost)
	}
	now = now.Add(breakMost)
	if b.Wait(now, time.Second) != 0 {
		t.Fatal("the pause has no end")
	}
	b.Report(now, false, 0)
	if b.Open(now) != 0 {
		t.Fatal("a good answer does not close it")
	}
	fail(4)
}

func TestABreakerWaitsAsTheEndpointAsksWithinBounds(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for asked, want := range map[time.Duration]time.Duration{7 * time.Second: 7 * time.Second, time.Hour: breakMost, 0: 0} {
		var b Breaker
		b.Report(now, true, asked)
		if got := b.Open(now); got != want {
			t.Errorf("asked for %s, waits %s", asked, got)
		}
	}
}
