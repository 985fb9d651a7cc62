package e2e

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestAccept12_ThreeHundredRequestsAtThreeGatewaysMakeOneRenewal(t *testing.T) {
	forAllKindsOnThreeNodes(t, settings{}, func(c *cluster, k kind) {
		s, first, before := c.beginExpired(k)
		c.tap.always(treatment{delay: 300 * time.Millisecond})
		defer storm(c.t)()
		var parts []*batch
		for _, n := range c.nodes {
			parts = append(parts, n.begin(c.t.Context(), 100, s))
		}
		for _, part := range parts {
			wantAll(c.t, part.wait(), http.StatusOK)
		}
		c.wantRenewals(k, before, 1)
		last := c.tap.lastIssued(c.t).token
		if last == first.token {
			c.t.Error("nothing was renewed")
		}
		c.wantTokenEverywhere(s, last)
		c.wantRenewals(k, before, 1)
	})
}

// fallAsleep lets the first node get a renewal's answer, and stop before the
// store has it.
func (c *cluster) fallAsleep(k kind, ask func()) (presented call) {
	c.t.Helper()
	before := c.renewals(k)
	release := make(chan struct{})
	c.tap.once(treatment{hold: release})
	ask()
	c.awaitAnswered(k, before+1)
	c.lines[0].set(true)
	close(release)
	await(c.t, 10*time.Second, "the first node to get the answer", func() bool {
		return strings.Contains(c.g.proc.out.String(), "the store did not take what a refresh has to write")
	})
	_ = c.g.proc.cmd.Process.Signal(syscall.SIGSTOP)
	c.t.Cleanup(func() { _ = c.g.proc.cmd.Process.Signal(syscall.SIGCONT) })
	c.lines[0].set(false)
	// What it knows no other node does.
	c.tap.change(func() {
		for _, one := range c.tap.calls {
			if one.Grant == k.renewal {
				one.Fate = fateUnknown
			}
		}
	})
	return c.tap.all().of(k.renewal)[before]
}

func TestAccept13_ANodeThatSleptPastItsLeaseSavesItsPairIfNoOtherNodeDid(t *testing.T) {
	// What is run again is not of this kind: the next request just does that.
	onThreeNodes(t, settings{life: 40, session: quick + "\n\t\t\ton_uncertain reauth"}, []kind{withRT, browser}, func(c *cluster, k kind) {
		s, first := c.beginAligned(k)
		before := c.renewals(k)
		quietOver := c.awaitDue(first)
		presented := c.fallAsleep(k, func() { c.get(s).seen(c.t) })
		awaitClock(c.t, presented.Begin.Add(2200*time.Millisecond)) // the lease is over
		for _, n := range c.nodes[1:] {
			if token := n.get(s).tokenSeen(c.t); token != first.token {
				c.t.Error("another token than the live one serves")
			}
		}
		quietOver()
		c.wantRenewals(k, before, 1)
		_ = c.g.proc.cmd.Process.Signal(syscall.SIGCONT)
		c.wantTokenEverywhere(s, c.tap.lastIssued(c.t).token)
		c.awaitDeath(first)
		c.wantTokenEverywhere(s, c.tap.lastIssued(c.t).token)
		if n := c.presentations(presented.RT); n != 1 {
			c.t.Errorf("the refresh token was presented %d times", n)
		}
	})
}

func TestAccept13_ANodeThatSleptTooLongFindsTheOutcomeOfAnother(t *testing.T) {
	forAllKindsOnThreeNodes(t, settings{session: quick}, func(c *cluster, k kind) {
		s, _, before := c.beginExpired(k)
		var asleep sync.WaitGroup
		presented := c.fallAsleep(k, func() {
			asleep.Go(func() { _, _ = c.tryGet(s) })
		})
		other := c.nodes[1]
		await(c.t, 30*time.Second, "another node to decide", func() bool { return other.get(s).status != http.StatusServiceUnavailable })
		c.wantRenewals(k, before, 2)
		outcome := other.get(s).status
		_ = c.g.proc.cmd.Process.Signal(syscall.SIGCONT)
		asleep.Wait()
		if k.presents() { // this server forgives nothing
			if n := c.presentations(presented.RT); n != 2 || outcome != http.StatusUnauthorized {
				c.t.Errorf("presented %d times, and then %d", n, outcome)
			}
			c.awaitRevoked(presented.NewRT) // the first node's, which is of no use any more
			for _, n := range c.nodes {
				await(c.t, 20*time.Second, "the end to be known", func() bool { return n.get(s).status != http.StatusServiceUnavailable })
				n.wantOver(s)
			}
			return
		}
		c.wantTokenEverywhere(s, c.tap.lastIssued(c.t).token)
		c.wantRenewals(k, before, 2)
	})
}

func TestAccept14_WhileRedisPausesNoUserIsLoggedOutAndAfterwardsAllGoOn(t *testing.T) {
	forAllKindsOnThreeNodes(t, settings{life: 120}, func(c *cluster, k kind) {
		s := k.begin(c.rig)
		c.everywhere(s, func(a answer) { a.seen(c.t) })
		before := c.renewals(k)
		var loads []*load
		for _, n := range c.nodes {
			loads = append(loads, startLoad(4, 100*time.Millisecond, func(turn int) (answer, error) {
				a, err := n.tryGet(s)
				if s.cookie != "" && turn%2 == 1 { // a redirect would be a log-out
					a, err = n.tryNavigate("/orders", s)
				}
				if err == nil && a.header.Get("Set-Cookie") != "" {
					err = errors.New("a cookie is set")
				}
				if err == nil && a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") == "" {
					err = errors.New("503 without Retry-After")
				}
				return a, err
			}))
		}
		c.redis.pause()
		awaitClock(c.t, time.Now().Add(5*time.Second))
		c.redis.resume()
		c.wantTokenEverywhere(s, c.tap.lastIssued(c.t).token)
		failures := 0
		for _, l := range loads {
			for _, one := range l.stop() {
				switch {
				case one.err != nil || one.status != http.StatusOK && one.status != http.StatusServiceUnavailable:
					c.t.Fatalf("%d %v", one.status, one.err)
				case one.status == http.StatusServiceUnavailable:
					failures++
				}
			}
		}
		if failures == 0 {
			c.t.Error("nobody noticed the pause: the test shows nothing")
		}
		c.wantRenewals(k, before, 0)
		if c.g.metrics()[`caddy_oauth_store_errors_total{operation="load"}`] == 0 {
			c.t.Error("the failures are not counted")
		}
	})
}

func TestAccept14_WithRedisDownAndTheTokenExpiredNothingIsPresented(t *testing.T) {
	forAllKindsOnThreeNodes(t, settings{session: "refresh_wait 2s"}, func(c *cluster, k kind) {
		s, _, before := c.beginExpired(k)
		c.cut(true)
		c.everywhere(s, func(a answer) {
			a.wantUnavailable(c.t)
			if len(a.cookies()) != 0 {
				c.t.Error("a cookie is set")
			}
		})
		c.wantRenewals(k, before, 0)
		if s.cookie != "" {
			if a := c.navigate("/orders", s); a.status != http.StatusServiceUnavailable || len(a.cookies()) != 0 {
				c.t.Errorf("a navigation gets %d and %d cookies, want 503 and none", a.status, len(a.cookies()))
			}
		} else if a := c.post("/token", s, nil); a.status == http.StatusOK {
			c.t.Error("a token is granted that nobody can keep")
		}
		c.cut(false)
		for _, n := range c.nodes {
			await(c.t, 20*time.Second, "the session to go on", func() bool { return n.get(s).status == http.StatusOK })
		}
		c.wantRenewals(k, before, 1)
	})
}

func TestAccept24_ARevocationAtOneNodeDuringTheRenewalOfAnotherIsKnownToAllWithinASecond(t *testing.T) {
	forAllKindsOnThreeNodes(t, settings{}, func(c *cluster, k kind) {
		s, _, before := c.beginExpired(k)
		release := make(chan struct{})
		c.tap.once(treatment{hold: release})
		waiting := c.begin(c.t.Context(), 5, s)
		c.awaitAnswered(k, before+1)
		others := c.nodes[1].begin(c.t.Context(), 5, s)
		c.nodes[1].awaitInFlight(5)
		c.nodes[2].end(s)
		c.wantDeadWithinASecond(s, time.Now())
		close(release)
		wantAll(c.t, waiting.wait(), http.StatusUnauthorized)
		wantAll(c.t, others.wait(), http.StatusUnauthorized)
		if k.presents() {
			c.awaitRevoked(c.tap.all().of(k.renewal)[before].NewRT)
		}
		for _, n := range c.nodes {
			n.wantOver(s)
		}
		c.wantRenewals(k, before, 1)
	})
}

func TestAccept24_WhatIsWarmAtEveryNodeEndsOnAllWithinASecond(t *testing.T) {
	forAllKindsOnThreeNodes(t, settings{life: 120}, func(c *cluster, k kind) {
		for _, end := range map[string]func(s session){
			"by its owner": c.nodes[1].end,
			"by an operator": func(session) {
				srefs := c.nodes[2].liveGrants()
				if len(srefs) != 1 {
					c.t.Fatalf("the third node lists %q, want one", srefs)
				}
				c.nodes[2].adminDelete("/oauth/grants/" + srefs[0])
			},
		} {
			s := k.begin(c.rig)
			c.everywhere(s, func(a answer) { a.seen(c.t) })
			end(s)
			c.wantDeadWithinASecond(s, time.Now())
		}
	})
}

func TestAccept25_ADumpOfRedisHasNoTokenAndNoUsableHandle(t *testing.T) {
	forAllKindsOnThreeNodes(t, settings{}, func(c *cluster, k kind) {
		s, _, before := c.beginExpired(k)
		c.get(s).seen(c.t)
		c.wantRenewals(k, before, 1)
		dump := c.redis.dump()
		if !strings.Contains(dump, "caddy-oauth:{") {
			c.t.Fatal("there is no row in the dump")
		}
		c.wantClean("Redis", dump)
		for _, raw := range s.bytes() {
			if strings.Contains(dump, raw) {
				c.t.Error("Redis holds a part of a handle")
			}
		}
	})
}

// A node that dies takes nothing along: the others know all that it kept.
func TestAGatewayThatIsKilledCostsNoUserASession(t *testing.T) {
	forAllKindsOnThreeNodes(t, settings{}, func(c *cluster, k kind) {
		s, _, before := c.beginExpired(k)
		c.get(s).seen(c.t)
		c.g.kill()
		last := c.tap.lastIssued(c.t).token
		for _, n := range c.nodes[1:] {
			if n.get(s).tokenSeen(c.t) != last {
				c.t.Error("another node serves another token")
			}
		}
		c.wantRenewals(k, before, 1)
		c.start()
		c.wantTokenEverywhere(s, last)
	})
}
