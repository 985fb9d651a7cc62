package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestFloodsWhileTheIssuerIsSlowDelayNoValidToken(t *testing.T) {
	testFloods(t, slow(500*time.Millisecond))
}

func TestFloodsWhileTheIssuerHangsDelayNoValidToken(t *testing.T) {
	testFloods(t, hanging)
}

// testFloods runs floods of unknown keys and of bad signatures beside good
// requests, while the issuer behaves like this.
func testFloods(t *testing.T, behave func(http.ResponseWriter, *http.Request) bool) {
	f := startFakeIssuer(t)
	up := startUpstream(t)
	g := newGateway(t)
	g.serve(g.site(g.port, identity(f.url, audience), up) + g.site(g.open, "", up))
	used := f.token(nil)
	get(t, g.url("/"), used).wantPass(t, "alice")
	good := func(n int) string { // every other one has to be verified
		if n/goodWorkers%2 == 0 {
			return used
		}
		return f.token(nil)
	}
	f.setBehaviour(behave)
	f.awaitFloor()

	calm := goodLoad(g.url("/"), good)
	awaitMore(t, 400, calm)
	before := p99(goodOnly(t, calm.stop()), goodPace)

	// First the bad signatures alone: they must cause no fetch at all.
	fetches := f.keyFetches()
	other := newSignKey(t)
	signatures := startLoad(8, 10*time.Millisecond, flood(g, func() string { return f.badSignature(other) }))
	awaitMore(t, 300, signatures)
	if now := f.keyFetches(); now != fetches {
		t.Errorf("bad signatures of a known key made %d key fetches, want none", now-fetches)
	}

	// Then random kids beside them, for longer than the floor.
	began := time.Now()
	kids := startLoad(32, 10*time.Millisecond, flood(g, func() string { return f.unknownKid(other) }))
	stressed := goodLoad(g.url("/"), good)
	bare := goodLoad(g.openURL(), good) // the same, past no gateway
	await(t, 3*fetchFloor, "the flood to outlast the floor", func() bool {
		return time.Since(began) > fetchFloor+time.Second
	})
	after, control := p99(goodOnly(t, stressed.stop()), goodPace), p99(goodOnly(t, bare.stop()), goodPace)
	lasted := time.Since(began)
	made := f.keyFetches() - fetches
	f.setBehaviour(nil) // lets go of those who wait
	wantRefused(t, "unknown keys", kids.stop(), http.StatusUnauthorized, http.StatusServiceUnavailable)
	wantRefused(t, "bad signatures", signatures.stop(), http.StatusUnauthorized)

	if most := 1 + int(lasted/fetchFloor); made < 1 || made > most {
		t.Errorf("the flood of random kids made %d key fetches in %v, want 1 to %d", made, lasted, most)
	}
	t.Logf("p99 of valid tokens: %v calm, %v in the floods, where an open site has %v; %d key fetches in %v",
		before, after, control, made, lasted)
	wantUndelayed(t, before, after, control)
}

// wantUndelayed allows far less than the issuer's own delay. On a machine that
// is busy with other things the open site beside it is as late.
func wantUndelayed(t *testing.T, before, after, control time.Duration) {
	t.Helper()
	if after > 5*before+100*time.Millisecond && after > 2*control+100*time.Millisecond {
		t.Errorf("p99 of valid tokens went from %v to %v in the floods; an open site has %v", before, after, control)
	}
}

const (
	goodWorkers = 4
	goodPace    = 5 * time.Millisecond
)

// goodLoad is valid requests at a steady pace, on connections of their own.
func goodLoad(url string, token func(n int) string) *load {
	client := newClient(20 * time.Second)
	return startLoad(goodWorkers, goodPace, func(n int) (answer, error) { return try(client, url, token(n)) })
}

// flood is an attacker who waits two seconds at the most for each answer.
func flood(g *gateway, mint func() string) func(int) (answer, error) {
	client := newClient(2 * time.Second)
	return func(int) (answer, error) { return try(client, g.url("/"), mint()) }
}

func goodOnly(t *testing.T, samples []sample) []sample {
	t.Helper()
	wantAnswers(t, samples, http.StatusOK)
	return samples
}

// wantRefused checks that each answer, where there was one, was among allowed.
func wantRefused(t *testing.T, what string, samples []sample, allowed ...int) {
	t.Helper()
	counts := statuses(samples)
	t.Logf("%s got %v (0: the client did not wait for it)", what, counts)
	rest := len(samples) - counts[0]
	if rest == 0 {
		t.Errorf("%s got no answer at all", what)
	}
	for _, status := range allowed {
		rest -= counts[status]
	}
	if rest != 0 {
		t.Errorf("%s got %v, want %v", what, counts, allowed)
	}
	for _, s := range samples {
		if s.err != nil && !strings.Contains(s.err.Error(), "Timeout") && !strings.Contains(s.err.Error(), "deadline") {
			t.Errorf("%s: %v", what, s.err)
			return
		}
	}
}
