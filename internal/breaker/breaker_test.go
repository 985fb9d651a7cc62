package breaker

import (
	"testing"
	"time"
)

var (
	limits = Limits{After: 5, Least: time.Second, Most: 30 * time.Second, Within: 5 * time.Second}
	start  = time.Unix(1_800_000_000, 0)
)

func TestABreakerOpensAfterFiveFailuresInARowAndLetsOneCallTry(t *testing.T) {
	var b Breaker
	now := start
	fail := func(n int) {
		for range n {
			if wait := b.Wait(limits, now); wait > 0 {
				t.Fatalf("nobody may ask for %s", wait)
			}
			b.Report(limits, now, true, 0)
		}
	}
	fail(4)
	b.Report(limits, now, false, 0) // a good one in between begins anew
	fail(5)
	pause := limits.Least
	for pause < limits.Most {
		if wait := b.Wait(limits, now); wait != pause || b.Open(now) != pause {
			t.Fatalf("closed for %s, want %s", wait, pause)
		}
		now = now.Add(pause)
		if wait := b.Wait(limits, now); wait != 0 {
			t.Fatalf("after the pause nobody may ask for %s", wait)
		}
		if wait := b.Wait(limits, now); wait != limits.Within {
			t.Fatalf("beside the one that tries others may ask in %s", wait)
		}
		b.Report(limits, now, true, 0)
		pause = min(2*pause, limits.Most)
	}
	now = now.Add(limits.Most)
	if b.Wait(limits, now) != 0 {
		t.Fatal("the pause has no end")
	}
	b.Report(limits, now, false, 0)
	if b.Open(now) != 0 {
		t.Fatal("a good answer does not close it")
	}
	fail(4)
}

// All that were under way when an endpoint died came back as failures, and each
// of them doubled the pause: one burst had it left alone for the longest time.
func TestCallsThatWereUnderWayMakeNoPauseLonger(t *testing.T) {
	var b Breaker
	for range 100 {
		b.Report(limits, start, true, 0)
	}
	if left := b.Open(start); left != limits.Least {
		t.Errorf("after a burst it is left alone for %s", left)
	}
	now := start.Add(limits.Least)
	b.Report(limits, now, true, 0) // a slow one of them
	if wait := b.Wait(limits, now); wait != 0 {
		t.Errorf("after the pause nobody may ask for %s", wait)
	}
	b.Report(limits, now, true, 0)
	b.Report(limits, now, true, 0)
	if left := b.Open(now); left != 2*limits.Least {
		t.Errorf("after the one that tried it is left alone for %s", left)
	}
}

// The one that went first may never come back: another goes first then.
func TestACallThatIsLostKeepsNoOtherOutForEver(t *testing.T) {
	var b Breaker
	for range limits.After {
		b.Report(limits, start, true, 0)
	}
	now := start.Add(limits.Least)
	for range 3 {
		if wait := b.Wait(limits, now); wait != 0 {
			t.Fatalf("nobody may ask for %s", wait)
		}
		now = now.Add(limits.Within)
	}
}

func TestABreakerWaitsAsTheEndpointAsksWithinBounds(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{7 * time.Second: 7 * time.Second, time.Hour: limits.Most, 0: 0} {
		var b Breaker
		b.Report(limits, start, true, asked)
		if got := b.Open(start); got != want {
			t.Errorf("asked for %s, waits %s", asked, got)
		}
		// It was no break: afterwards all may ask, and not one of them first.
		for range 2 {
			if wait := b.Wait(limits, start.Add(want)); wait != 0 {
				t.Errorf("asked for %s, nobody may ask after %s", asked, want)
			}
		}
	}
}
