package e2e

import (
	"net/http"
	"testing"
	"time"
)

// Three gateways ask a sentinel where Redis is; the master dies while access
// tokens run out. No session is lost, and the invariants hold.
func TestASentinelsFailoverLosesNoSessionAndPresentsNothingTwice(t *testing.T) {
	t.Parallel()
	for _, k := range []kind{withRT, rerun, browser} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			redis := startFailover(t)
			set := settings{session: "refresh_wait 5s\n\t\t\tlease 60s",
				store: "redis " + redis.sentinel.address() + " {\n\t\t\t\tsentinel " + masterName + "\n\t\t\t}"}
			c := &cluster{rig: newRig(t, set)}
			c.nodes = []*rig{c.rig, c.beside(set), c.beside(set)}
			var sessions []session
			for range 20 {
				sessions = append(sessions, k.begin(c.rig))
			}
			var loads []*load
			for i, n := range c.nodes {
				loads = append(loads, startLoad(4, 50*time.Millisecond, func(m int) (answer, error) {
					return n.tryGet(sessions[(m+i)%len(sessions)])
				}))
			}
			c.awaitDeath(c.tap.lastIssued(t)) // some are being renewed
			redis.kill()
			for i, s := range sessions {
				n := c.nodes[i%len(c.nodes)]
				await(t, 60*time.Second, "a session to go on", func() bool {
					a := n.get(s)
					if a.status == http.StatusUnauthorized {
						t.Fatal("a session is lost")
					}
					return a.status == http.StatusOK
				})
			}
			for _, l := range loads {
				for _, one := range l.stop() {
					if one.err != nil || one.status != http.StatusOK && one.status != http.StatusServiceUnavailable {
						t.Errorf("%d %v", one.status, one.err)
					}
				}
			}
			presented := map[string]int{}
			for _, one := range c.tap.all().of("refresh_token") {
				if presented[one.RT]++; presented[one.RT] > 1 {
					t.Errorf("a refresh token was presented again: %v", one)
				}
			}
		})
	}
}
