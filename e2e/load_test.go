package e2e

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"
)

// sample is one request of a load.
type sample struct {
	start, end time.Time
	status     int // 0 when there was no answer
	err        error
	late       time.Duration // of this machine, at the end
}

// slow reports whether a request says something about the machine alone: where
// processes wake up late and an answer takes longer than a second, a token that
// lives for one is dead when it arrives.
func (s sample) slow() bool { return s.late > 100*time.Millisecond && s.end.Sub(s.start) > time.Second }

// load is workers that keep asking until they are stopped.
type load struct {
	quit    chan struct{}
	workers sync.WaitGroup

	mu      sync.Mutex
	samples []sample
}

// startLoad makes each worker call ask, with a running number, once per pace.
func startLoad(workers int, pace time.Duration, ask func(n int) (answer, error)) *load {
	l := &load{quit: make(chan struct{})}
	for worker := range workers {
		l.workers.Go(func() {
			ticker := time.NewTicker(pace)
			defer ticker.Stop()
			for n := worker; ; n += workers {
				s := sample{start: time.Now()}
				a, err := ask(n)
				s.end, s.status, s.err, s.late = time.Now(), a.status, err, late()
				l.mu.Lock()
				l.samples = append(l.samples, s)
				l.mu.Unlock()
				select {
				case <-l.quit:
					return
				case <-ticker.C:
				}
			}
		})
	}
	return l
}

// bearerLoad asks url with the same token, over and over.
func bearerLoad(client *http.Client, workers int, pace time.Duration, url, token string) *load {
	return startLoad(workers, pace, func(int) (answer, error) { return try(client, url, token) })
}

// stop ends the load and returns all that happened.
func (l *load) stop() []sample {
	close(l.quit)
	l.workers.Wait()
	return l.sofar()
}

func (l *load) sofar() []sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.samples)
}

// p99 is the latency that 99 of 100 requests keep. A worker that waits asks
// nothing meanwhile, so each request that it had to leave out counts too, as
// late as it would have been.
func p99(samples []sample, pace time.Duration) time.Duration {
	var took []time.Duration
	for _, s := range samples {
		for late := s.end.Sub(s.start); ; late -= pace {
			took = append(took, late)
			if late <= pace {
				break
			}
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[(len(took)-1)*99/100]
}

// statuses counts the answers; errors count as 0.
func statuses(samples []sample) map[int]int {
	counts := map[int]int{}
	for _, s := range samples {
		if s.err != nil {
			s.status = 0
		}
		counts[s.status]++
	}
	return counts
}

// wantAnswers checks that each request of a load was answered, with this status.
func wantAnswers(t *testing.T, samples []sample, status int) {
	t.Helper()
	if counts := statuses(samples); counts[status] != len(samples) {
		t.Errorf("of %d requests not all got %d: %v, without an answer: %v", len(samples), status, counts, failures(samples))
	}
}

// failures counts what requests without an answer ended with. What the texts
// have of their own, addresses and ports, is left out.
func failures(samples []sample) map[string]int {
	counts := map[string]int{}
	for _, s := range samples {
		if s.err == nil {
			continue
		}
		text := s.err.Error()
		if whole := (*url.Error)(nil); errors.As(s.err, &whole) {
			text = whole.Err.Error()
		}
		if part := (*net.OpError)(nil); errors.As(s.err, &part) {
			text = part.Op + ": " + part.Err.Error()
		}
		counts[text]++
	}
	return counts
}
