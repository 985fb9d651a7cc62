package e2e

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// A server that keeps its access tokens ends the old one when it makes the next,
// before that is here, and is asked about each token for each request. "make soak"
// runs it for a minute, with tokens of 15 seconds.
func TestNoClientGets401WhileTheServerEndsTheOldTokenAtItsRefresh(t *testing.T) {
	life, last := long(15, 5), long(time.Minute, 12*time.Second)
	set := settings{life: life, env: "KILL_OLD=1", asking: "always\ncache 0s\nrate 100000"}
	forRotating(t, set, func(r *rig, k kind) {
		s, before := k.begin(r), r.renewals(k)
		var mu sync.Mutex
		got := map[int]int{}
		var all sync.WaitGroup
		end := time.Now().Add(last)
		for range 12 {
			all.Go(func() {
				for time.Now().Before(end) {
					a, err := r.tryGet(s)
					if err != nil {
						r.t.Error(err)
						return
					}
					mu.Lock()
					got[a.status]++
					mu.Unlock()
					pause(r.t.Context(), 5*time.Millisecond)
				}
			})
		}
		all.Wait()
		if len(got) != 1 || got[http.StatusOK] == 0 {
			r.t.Errorf("answers: %v", got)
		}
		if n := r.renewals(k) - before; n < 2 {
			r.t.Errorf("%d renewals: the test shows nothing", n)
		}
		r.t.Logf("%v, %d renewals", got, r.renewals(k)-before)
	})
}
