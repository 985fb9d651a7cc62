package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// startSignalled is three gateways on one Redis whose transmitter pushes to the
// first of them, or is polled by all.
func startSignalled(t *testing.T, push bool) (*cluster, *transmitter) {
	t.Helper()
	tr := startTransmitter(t)
	how := "poll"
	if push {
		how = pushWords
	}
	c := newCluster(t, settings{life: 300, signals: tr.words(how)})
	if push {
		tr.pushTo = []string{c.nodes[0].g.url("/signals")}
	}
	return c, tr
}

// wantTokenOut awaits that no node takes a token any more, and checks that it took
// no longer than it may.
func (c *cluster) wantTokenOut(token string, since time.Time) {
	c.t.Helper()
	for i, n := range c.nodes {
		await(c.t, 5*time.Second, fmt.Sprintf("node %d to refuse the token", i), func() bool {
			return n.g.bearer(token).status == http.StatusUnauthorized
		})
	}
	c.t.Logf("every node refuses it %s after the event", time.Since(since).Round(time.Millisecond))
}

func TestAnEventAtOneNodeEndsTokensGrantsAndBrowsersOnAllNodes(t *testing.T) {
	t.Parallel()
	for name, push := range map[string]bool{"pushed": true, "polled": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, tr := startSignalled(t, push)
			theirs, browsers, other := c.loginAs("alice"), c.browse(), c.loginAs("bob")
			var token, others string
			for _, n := range c.nodes {
				token, others = n.get(theirs).tokenSeen(t), n.get(other).tokenSeen(t)
				if a := n.get(browsers); a.status != http.StatusOK {
					t.Fatalf("the browser's session: %d", a.status)
				}
				if a := n.g.bearer(token); a.status != http.StatusOK {
					t.Fatalf("the token itself: %d %s", a.status, a.body)
				}
			}
			sent := time.Now()
			tr.send(sessionRevoked, about(c.tap.url, "alice"), map[string]any{"initiating_entity": "admin"}, 0)
			c.wantTokenOut(token, sent)
			for _, s := range []session{theirs, browsers} {
				c.everywhere(s, func(a answer) { a.wantOut(t, s) })
			}
			for _, n := range c.nodes {
				if a := n.g.bearer(others); a.status != http.StatusOK {
					t.Errorf("another user's token: %d %s", a.status, a.body)
				}
				if a := n.get(other); a.status != http.StatusOK {
					t.Errorf("another user's grant: %d", a.status)
				}
			}
			awaitClock(t, sent.Add(2*time.Second)) // tokens say when they were issued in seconds
			again := c.loginAs("alice")
			c.everywhere(again, func(a answer) { a.seen(t) })
		})
	}
}

func TestAnEventThatComesLateEndsNothingThatBeganSince(t *testing.T) {
	t.Parallel()
	c, tr := startSignalled(t, true)
	theirs := c.loginAs("alice")
	tr.send(sessionRevoked, about(c.tap.url, "alice"), map[string]any{}, time.Minute)
	awaitClock(t, time.Now().Add(2*time.Second)) // all nodes know by then
	c.everywhere(theirs, func(a answer) { a.seen(t) })
}

func TestAChangeOfClaimsRenewsAGrantAndRefusesTheTokenItself(t *testing.T) {
	t.Parallel()
	c, tr := startSignalled(t, true)
	theirs, browsers := c.loginAs("alice"), c.browse()
	token := c.get(theirs).tokenSeen(t)
	awaitClock(t, time.Now().Add(2*time.Second))
	sent := time.Now()
	tr.send(claimsChange, about(c.tap.url, "alice"), map[string]any{"claims": map[string]any{"role": "reader"}}, 0)
	c.wantTokenOut(token, sent)
	awaitClock(t, sent.Add(time.Second))
	for _, s := range []session{theirs, browsers} {
		c.everywhere(s, func(a answer) {
			if got := a.tokenSeen(t); got == token {
				t.Error("the upstream saw the token from before")
			}
		})
	}
}

func TestWhereATransmitterIsSilentTokensAre503AndNoSessionEnds(t *testing.T) {
	t.Parallel()
	tr := startTransmitter(t)
	tr.mute, tr.pushTo = true, []string{"where the gateway will be"}
	r := newRig(t, settings{life: 300, signals: tr.words(pushWords + "\n\t\t\t\tverify 10s\n\t\t\t\tsilent refuse")})
	s := r.loginAs("alice")
	r.get(s).seen(t)
	await(t, 60*time.Second, "silence to count", func() bool { return r.get(s).status == http.StatusServiceUnavailable })
	if n := len(r.grants()); n != 1 {
		t.Errorf("%d grants", n)
	}
	tr.pushTo = []string{r.g.url("/signals")}
	tr.send("https://schemas.openid.net/secevent/ssf/event-type/verification", map[string]any{"format": "opaque", "id": "stream-1"}, map[string]any{}, 0)
	r.get(s).seen(t)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.asked < 3 {
		t.Errorf("%d verifications were asked for", tr.asked)
	}
}
