package e2e

import (
	"sync"
	"testing"
	"time"
)

// Tests that have to act within a second or so say when that will be, and those
// that make hundreds of requests at a time, storms, keep away from it and from
// each other.
var weather struct {
	sync.Mutex
	storming bool
	quiet    map[*time.Time]struct{} // from these moments on, until they are taken out
}

// stormLasts is how long a storm takes where the machine is slow.
const stormLasts = 8 * time.Second

// storm waits until it disturbs no other test. Its answer is to be called
// afterwards.
func storm(t *testing.T) (over func()) {
	t.Helper()
	await(t, 5*time.Minute, "a time without quiet tests", func() bool {
		weather.Lock()
		defer weather.Unlock()
		if weather.storming {
			return false
		}
		for from := range weather.quiet {
			if time.Until(*from) < stormLasts {
				return false
			}
		}
		weather.storming = true
		return true
	})
	return func() {
		weather.Lock()
		defer weather.Unlock()
		weather.storming = false
	}
}

// stayQuiet keeps storms away from that moment on, until its answer is called.
func stayQuiet(from time.Time) (over func()) {
	weather.Lock()
	defer weather.Unlock()
	if weather.quiet == nil {
		weather.quiet = map[*time.Time]struct{}{}
	}
	weather.quiet[&from] = struct{}{}
	return func() {
		weather.Lock()
		defer weather.Unlock()
		delete(weather.quiet, &from)
	}
}
