package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// cluster is three gateways on one Redis, each with a line of its own to it.
// What a rig can do, each node can; a session that one of them began is good for
// all. How a session begins and is presented is the affair of its kind.
type cluster struct {
	*rig  // the first node
	nodes []*rig
	lines []*line
	redis *redisServer
}

func newCluster(t *testing.T, set settings) *cluster {
	t.Helper()
	c := &cluster{redis: startRedis(t)}
	for range 3 {
		l := startLine(t, c.redis.address())
		set.store = "redis " + l.address + " {\n\t\t\t\ttimeout 2s\n\t\t\t}"
		c.lines = append(c.lines, l)
		if c.rig == nil {
			c.rig = newRig(t, set)
			c.nodes = append(c.nodes, c.rig)
		} else {
			c.nodes = append(c.nodes, c.beside(set))
		}
	}
	return c
}

// beside starts one more gateway for the same authorization server and API,
// with the same keys, and ports and files of its own.
func (r *rig) beside(set settings) *rig {
	r.t.Helper()
	n := &rig{
		t: r.t, secrets: r.secrets, tap: r.tap, as: r.as, api: r.api, set: set, client: r.client,
		gatewaySecret: r.gatewaySecret, robotSecret: r.robotSecret, keys: r.keys,
	}
	n.set.life = r.set.life
	n.g = newGateway(r.t)
	n.g.options = r.g.options
	n.write()
	n.start()
	return n
}

// forAllKindsOnThreeNodes is forAllKinds with a cluster for each.
func forAllKindsOnThreeNodes(t *testing.T, set settings, test func(c *cluster, k kind)) {
	t.Helper()
	onThreeNodes(t, set, []kind{withRT, rerun, browser}, test)
}

func onThreeNodes(t *testing.T, set settings, kinds []kind, test func(c *cluster, k kind)) {
	t.Helper()
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			test(newCluster(t, set), k)
		})
	}
}

// cut cuts or mends the lines of all nodes.
func (c *cluster) cut(cut bool) {
	for _, l := range c.lines {
		l.set(cut)
	}
}

// everywhere asks each node once.
func (c *cluster) everywhere(s session, check func(a answer)) {
	c.t.Helper()
	for _, n := range c.nodes {
		check(n.get(s))
	}
}

// wantTokenEverywhere awaits that each node serves the session with this token.
func (c *cluster) wantTokenEverywhere(s session, token string) {
	c.t.Helper()
	for i, n := range c.nodes {
		await(c.t, 20*time.Second, fmt.Sprintf("node %d to serve the session", i), func() bool { return n.get(s).status == http.StatusOK })
		if n.get(s).tokenSeen(c.t) != token {
			c.t.Errorf("by node %d the upstream saw another token than the last one", i)
		}
	}
}

// wantDeadWithinASecond checks that no node serves a session that ended then:
// each request that begins a second later is refused.
func (c *cluster) wantDeadWithinASecond(s session, ended time.Time) {
	c.t.Helper()
	awaitClock(c.t, ended.Add(time.Second))
	c.everywhere(s, func(a answer) { a.wantOut(c.t, s) })
}

// liveGrants are those that the admin API of a node lists as alive.
func (r *rig) liveGrants() (srefs []string) {
	r.t.Helper()
	var list []struct{ Sref, State, Store string }
	if err := json.Unmarshal([]byte(r.g.adminGet("/oauth/grants")), &list); err != nil {
		r.t.Fatalf("the admin API's list: %v", err)
	}
	for _, one := range list {
		if !strings.HasPrefix(one.Store, "redis ") {
			r.t.Errorf("the store is called %q", one.Store)
		}
		if one.State == "live" {
			srefs = append(srefs, one.Sref)
		}
	}
	return srefs
}
