package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A server that hung for half a minute ended every grant in use: the second
// presentation timed out as the first one had, and that was taken for an end.
func TestAServerThatHangsThroughManyAttemptsEndsNoGrant(t *testing.T) {
	for _, attempts := range []int{2, 3, 10, 300} {
		for name, last := range map[string]struct {
			outcome Outcome
			want    string
		}{
			"and takes the token then":    {next(attempts + 1), "at"},
			"and refuses the token then":  {Refused{errTest}, "no grant"},
			"and knows nobody for a time": {BadClient{errTest}, "unavailable"},
		} {
			synctest.Test(t, func(t *testing.T) {
				var begun, ended moments
				b := newBench(t, func(o *Options) { o.Idle = o.Max }, func(ctx context.Context, call int, g Grant) Outcome {
					begun.note()
					defer ended.note()
					if call > attempts {
						return last.outcome
					}
					if g.Refresh.Reveal() != "rt1" || call > 1 && g.Expiry.After(time.Now()) {
						t.Errorf("call %d presents %s", call, g.Refresh.Reveal())
					}
					<-ctx.Done()
					return Unknown{Err: ctx.Err()}
				})
				time.Sleep(101 * time.Second)
				for b.made() <= attempts {
					if _, err := b.vault.Token(t.Context(), b.h); errors.Is(err, ErrNoGrant) && b.made() <= attempts {
						t.Fatalf("%s: the grant ended after %d attempts", name, b.made())
					}
					time.Sleep(time.Second)
				}
				time.Sleep(time.Second)
				switch access, err := b.vault.Token(t.Context(), b.h); {
				case last.want == "at" && (err != nil || access.Token.Reveal() != fmt.Sprint("at", attempts+2)),
					last.want == "no grant" && !errors.Is(err, ErrNoGrant),
					last.want == "unavailable" && (err == nil || errors.Is(err, ErrNoGrant)):
					t.Errorf("%s, after %d attempts: %v", name, attempts, err)
				}
				before := time.Duration(0)
				for i := range min(attempts, 10) - 1 {
					pause := begun.all()[i+1].Sub(ended.all()[i])
					if pause < before/2 || pause < time.Second {
						t.Errorf("%s: after attempt %d a pause of %v, before it one of %v", name, i+1, pause, before)
					}
					before = min(pause, 10*time.Second)
				}
			})
		}
	}
}

// made is how often the AS was asked.
func (b *bench) made() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

// moments are when something happened.
type moments struct {
	mu   sync.Mutex
	list []time.Time
}

func (m *moments) note() { m.mu.Lock(); m.list = append(m.list, time.Now()); m.mu.Unlock() }

func (m *moments) all() []time.Time { m.mu.Lock(); defer m.mu.Unlock(); return slices.Clone(m.list) }
