package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestMovingToAnotherAuthorizationServerIsOneLineAndNoWrongAnswer(t *testing.T) {
	from, to := startOIDCProvider(t, "ES256"), startOIDCProvider(t, "RS256")
	tokens := []string{from.token(t, "ES256", "orders:read"), to.token(t, "RS256", "orders:read")}
	up := startUpstream(t)
	g := newGateway(t)
	write := func(issuers string) {
		g.write(g.site(g.port, fmt.Sprintf("oauth {\n\t\tissuer %s {\n\t\t\taudience %s\n\t\t}\n\t}", issuers, audience), up))
	}
	// What each server's token gets, phase by phase.
	phases := []struct {
		issuers string
		want    [2]int
	}{
		{from.url, [2]int{200, 401}},
		{from.url + " " + to.url, [2]int{200, 200}},
		{to.url, [2]int{401, 200}},
	}
	write(phases[0].issuers)
	g.start()

	var loads [2]*load
	client, h := newHandover(10 * time.Second)
	for i, token := range tokens {
		loads[i] = bearerLoad(client, 4, 5*time.Millisecond, g.url("/"), token)
	}
	// Between changes[n][0] and changes[n][1] phase n gives way to phase n+1.
	changes := make([][2]time.Time, 0, len(phases))
	for _, phase := range phases[1:] {
		awaitMore(t, 100, loads[:]...)
		began := time.Now()
		write(phase.issuers)
		g.reload()
		changes = append(changes, [2]time.Time{began, time.Now()})
	}
	awaitMore(t, 100, loads[:]...)

	for i := range loads {
		for _, s := range loads[i].stop() {
			if s.err != nil {
				t.Fatalf("token %d: %v", i, s.err)
			}
			right := false
			for n, phase := range phases {
				overlaps := (n == 0 || s.end.After(changes[n-1][0])) && (n == len(changes) || s.start.Before(changes[n][1]))
				right = right || overlaps && s.status == phase.want[i]
			}
			if !right {
				t.Errorf("token %d, %v after the first change: %d", i, s.start.Sub(changes[0][0]), s.status)
			}
		}
	}
	h.wantUnseen(t, g)
}

// awaitMore waits until each load has made n more requests.
func awaitMore(t *testing.T, n int, loads ...*load) {
	t.Helper()
	for _, l := range loads {
		before := len(l.sofar())
		await(t, 20*time.Second, "the load to go on", func() bool { return len(l.sofar()) >= before+n })
	}
}

func TestTwentyReloadsUnderLoadFailNoRequestAndFetchNoKeys(t *testing.T) {
	f := startFakeIssuer(t)
	up := startUpstream(t)
	g := newGateway(t)
	write := func(generation int) {
		g.write(g.site(g.port, fmt.Sprintf("header X-Generation %d\n\t%s", generation, identity(f.url, audience)), up))
	}
	write(0)
	g.start()
	tokens := make([]string, 50)
	for i := range tokens {
		tokens[i] = f.token(nil)
	}
	get(t, g.url("/"), tokens[0]).wantPass(t, "alice")
	write(-1)
	g.reload() // what only a first reload allocates is not a leak
	fetches, requests := f.keyFetches(), f.requests()
	goroutines := g.idleGoroutines(up)
	before := g.metrics()

	client, h := newHandover(10 * time.Second)
	l := startLoad(8, 5*time.Millisecond, func(n int) (answer, error) {
		return try(client, g.url("/"), tokens[n%len(tokens)])
	})
	for generation := range 20 {
		write(generation + 1)
		g.reload()
	}
	awaitMore(t, 50, l)
	samples := l.stop()
	wantAnswers(t, samples, http.StatusOK)
	h.wantUnseen(t, g)
	if a := get(t, g.url("/"), tokens[0]); a.header.Get("X-Generation") != "20" {
		t.Errorf("generation %q answers after 20 reloads", a.header.Get("X-Generation"))
	}
	if f.keyFetches() != fetches || f.requests() != requests {
		t.Errorf("20 reloads made %d key fetches and %d requests at the issuer, want none",
			f.keyFetches()-fetches, f.requests()-requests)
	}
	client.CloseIdleConnections()
	after := 0
	defer func() {
		t.Logf("%d goroutines before 20 reloads, %d after; %d requests", goroutines, after, len(samples))
	}()
	await(t, 20*time.Second, "the goroutines to come back to what they were", func() bool {
		after = g.idleGoroutines(up)
		return after <= goroutines+3
	})
	wantGrown(t, before, g.metrics())
}

// wantGrown checks that no counter was lost or set back.
func wantGrown(t *testing.T, before, after map[string]float64) {
	t.Helper()
	if len(before) == 0 {
		t.Error("there are no metrics that begin with caddy_oauth_")
	}
	for name, value := range before {
		now, there := after[name]
		if !there {
			t.Errorf("the reload lost the metric %s", name)
			continue
		}
		if now < value && isCounter(name) {
			t.Errorf("the reload set %s back from %v to %v", name, value, now)
		}
	}
}
