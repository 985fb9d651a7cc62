package e2e

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// service sends requests to those that are ready, as that of a cluster does,
// which asks now and then.
type service struct {
	mu    sync.Mutex
	ready []string
}

func (s *service) watch(quit <-chan struct{}, all ...*sidecar) {
	for {
		var ready []string
		for _, one := range all {
			if one.ready() == http.StatusOK {
				ready = append(ready, one.url)
			}
		}
		s.mu.Lock()
		s.ready = ready
		s.mu.Unlock()
		select {
		case <-quit:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *service) pick(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) == 0 {
		return "http://127.0.0.1:1" // refused, and counted as failed
	}
	return s.ready[n%len(s.ready)]
}

// Two replicas are replaced one after the other under load.
func sidecarRolls(t *testing.T, start sidecars, token string, given []string) {
	given = append(given, "SHUTDOWN_DELAY=4s")
	a, b := newSidecar(t, start, given...), newSidecar(t, start, given...)
	a.run(t, http.StatusOK)
	b.run(t, http.StatusOK)
	quit, ended := make(chan struct{}), make(chan struct{})
	svc := &service{ready: []string{a.url, b.url}}
	go func() {
		defer close(ended)
		svc.watch(quit, a, b)
	}()
	client := newClient(30 * time.Second)
	l := startLoad(8, 2*time.Millisecond, func(n int) (answer, error) {
		return try(client, svc.pick(n)+"/orders?ms=20", token)
	})
	for _, one := range []*sidecar{a, b, a, b} {
		enough := len(l.sofar()) + 200
		await(t, 30*time.Second, "some load", func() bool { return len(l.sofar()) >= enough })
		one.stop(t)
		one.run(t, http.StatusOK)
	}
	samples := l.stop()
	close(quit)
	<-ended
	wantAnswers(t, samples, http.StatusOK)
	if len(samples) < 800 {
		t.Errorf("%d requests: the test shows little", len(samples))
	}
}

// versionTook is how long the binary needs for next to nothing: what a start
// takes on a machine that is busy with other things.
func versionTook(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	if _, stderr, code := runCommand(t, t.TempDir(), "", caddyBinary(t), "version"); code != 0 {
		t.Fatalf("caddy version ends with %d: %s", code, stderr)
	}
	return time.Since(began)
}
