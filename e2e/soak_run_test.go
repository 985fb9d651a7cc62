package e2e

import (
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Three nodes, sessions of all kinds and open streams, and at random, from a seed: nodes
// are killed, configurations read again, the issuer goes away and changes its keys,
// Redis fails over, and sessions are taken back in each way. In "make soak" for an hour
// (SOAK_FOR), with 2,000 sessions and 500 streams (SOAK_SESSIONS, SOAK_STREAMS); in "make
// test" each mishap comes once. SOAK_SEED draws the same again.
func TestMishapsEndNoSessionThatIsNotTakenBackAndNothingStaysBehind(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SOAK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	length := long(time.Hour, 8*time.Second)
	if text := os.Getenv("SOAK_FOR"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	sessions, streams := ofEnv(t, "SOAK_SESSIONS", long(2000, 60)), ofEnv(t, "SOAK_STREAMS", long(500, 30))
	t.Logf("SOAK_SEED=%d, %s, %d sessions, %d streams", seed, length, sessions, streams)
	began := time.Now()
	s := startSoak(t, seed, length)
	s.fill(sessions)
	s.everySession("at the beginning")
	before := s.rest()
	t.Logf("%6.1fs all sessions are there; the first node has %s", time.Since(began).Seconds(), before)

	loaded := s.load(long(16, 4), long(20*time.Second, 3*time.Second))
	taken := s.takeBacks(long(2*time.Second, 400*time.Millisecond))
	var open sync.WaitGroup
	for i := range streams {
		open.Go(func() { s.stream(i) })
	}
	happened := s.happen(s.planned())
	watched := s.watch()
	s.pause(length)
	happened()
	s.stop()
	for _, wait := range []func(){watched, loaded, taken, open.Wait} {
		wait()
	}
	if s.failures.Load() >= enough || t.Failed() && s.dead() {
		return // what comes next would take long, and say no more
	}
	t.Logf("%6.1fs the load is over", time.Since(began).Seconds())
	s.everySession("at the end")
	s.wantNothingStays(before)
	s.tell()
	for _, n := range s.nodes {
		(&rig{t: t, g: n.gateway}).checkNoCrash()
	}
	if s.issuer.reused > 0 {
		s.failf("%d refresh tokens were presented long after they were rotated", s.issuer.reused)
	}
}

// dead reports whether a node does not run.
func (s *soak) dead() bool {
	return slices.ContainsFunc(s.nodes, func(n *soakNode) bool {
		select {
		case <-n.proc.done:
			return true
		default:
			return false
		}
	})
}

func ofEnv(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// everySession checks at each node that what lives is served, and that what was taken
// back is refused.
func (s *soak) everySession(when string) {
	s.t.Helper()
	var wg sync.WaitGroup
	for _, n := range s.nodes {
		wg.Go(func() {
			for _, x := range append(append([]*enduring{}, s.slots...), s.late...) {
				if x != nil && !x.gone && !x.runsOut() { // by itself
					s.awaitRight(x, n, when)
				}
			}
		})
	}
	wg.Wait()
}

func (s *soak) awaitRight(x *enduring, n *soakNode, when string) {
	for end := time.Now().Add(2 * time.Minute); s.failures.Load() < enough; time.Sleep(100 * time.Millisecond) {
		status := s.use(x, n)
		taking, taken := x.back()
		switch {
		case status == http.StatusUnauthorized && !taking.IsZero():
			return
		case status == http.StatusOK && taken.IsZero(): // one that was to be taken back when the load ended may live
			return
		case x.how == aJWT && x.runsOut():
			return
		case time.Now().After(end):
			s.failf("%s node %d answers %s of %s with %d, for two minutes", when, n.number, x.how, x.subject, status)
			return
		}
	}
}

// tell prints what was seen.
func (s *soak) tell() {
	s.issuer.mu.Lock()
	s.t.Logf("%d refreshes, %d of them with a token that was rotated before", s.issuer.renewed, s.issuer.again)
	s.issuer.mu.Unlock()
	s.t.Logf("%s", &s.answers)
	for _, what := range []string{
		"refused everywhere", "refused, where Redis or the node was away", "a stream's end", "a stream's end, where Redis or the node was away",
		"503 since the last mishap ended",
	} {
		n, median, most99, most := s.seen.of(what)
		s.t.Logf("%s: %d times, median %s, 99 of 100 within %s, at most %s", what, n,
			median.Round(time.Millisecond), most99.Round(time.Millisecond), most.Round(time.Millisecond))
	}
}
