package e2e

import (
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// mishap is a time in which something is wrong.
type mishap struct {
	what  string
	node  *soakNode // that is down, or nil
	from  time.Time
	to    time.Time // zero: it lasts
	after time.Duration
}

// mishaps are those so far.
type mishaps struct {
	mu  sync.Mutex
	all []*mishap
}

func (m *mishaps) begin(what string, node *soakNode, after time.Duration) *mishap {
	one := &mishap{what: what, node: node, from: time.Now(), after: after}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, one)
	return one
}

func (m *mishaps) end(one *mishap) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one.to = time.Now()
}

// lasted answers the mishaps that were on between two moments, or were felt.
func (m *mishaps) lasted(from, to time.Time, felt bool) (all []*mishap) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.all {
		end := one.to
		if felt && !end.IsZero() {
			end = end.Add(one.after)
		}
		if one.from.Before(to) && (end.IsZero() || end.After(from)) {
			all = append(all, one)
		}
	}
	return all
}

// excuse reports whether a request may have got 503.
func (m *mishaps) excuse(from, to time.Time) bool { return len(m.lasted(from, to, true)) > 0 }

// down reports whether a node may not have answered.
func (m *mishaps) down(n *soakNode, from, to time.Time) bool {
	return slices.ContainsFunc(m.lasted(from, to.Add(time.Second), false), func(one *mishap) bool { return one.node == n })
}

// deaf reports whether a node may not have heard what was taken back: it was down, or
// the store was, and each has some seconds to find the other again.
func (m *mishaps) deaf(n *soakNode, from, to time.Time) bool {
	return slices.ContainsFunc(m.lasted(from.Add(-3*time.Second), to, false), func(one *mishap) bool { return one.node == n || one.what == aFailover })
}

// The kinds of mishaps. A reload and another key of the issuer's are none: nobody may
// notice them.
const (
	aKill     = "a node is killed"
	aFailover = "Redis fails over"
	anOutage  = "the issuer is away"
)

// A node that dies while it refreshes leaves an intent, which the others leave alone
// for the lease.
const afterKill = leaseOf + 5*time.Second

// kill ends a node at once. The first one lives on: what stays would go with it.
func (s *soak) kill(d draw) {
	n := s.nodes[1+d.IntN(len(s.nodes)-1)]
	n.busy.Lock()
	defer n.busy.Unlock()
	one := s.mishaps.begin(aKill, n, afterKill)
	n.gateway.kill()
	n.client.CloseIdleConnections()
	time.Sleep(time.Duration(d.IntN(2000)) * time.Millisecond)
	n.start()
	s.mishaps.end(one)
}

// reload has a node read its configuration again.
func (s *soak) reload(d draw) {
	n := s.nodes[d.IntN(len(s.nodes))]
	n.busy.Lock()
	defer n.busy.Unlock()
	text, err := os.ReadFile(n.config)
	for again := 3; err == nil; again-- {
		req, _ := http.NewRequest(http.MethodPost, "http://"+n.admin+"/load", strings.NewReader(string(text)))
		req.Header.Set("Content-Type", "text/caddyfile")
		req.Header.Set("Cache-Control", "must-revalidate") // it has not changed
		var a answer
		if a, err = send(plainClient, req); err == nil {
			if a.status != http.StatusOK {
				s.failf("a reload of node %d gets %d %s", n.number, a.status, a.body)
			}
			return
		}
		if again > 0 { // the reload itself puts another server in the place of the one that answers
			err = nil
		}
	}
	s.failf("a reload of node %d: %v", n.number, err)
}

// outage takes the issuer away, in one of three ways.
func (s *soak) outage(d draw) {
	length := long(5*time.Second, 2*time.Second) + time.Duration(d.IntN(long(15_000, 1500)))*time.Millisecond
	// The breaker's pause doubles, so it is no longer than the outage was, and that of
	// a grant is 10 s at the most.
	one := s.mishaps.begin(anOutage, nil, length+15*time.Second)
	switch d.IntN(3) {
	case 0:
		s.issuer.stop()
		s.pause(length)
		s.issuer.start()
	case 1:
		s.issuer.setBehaviour(func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "no")
			return true
		})
		s.pause(length)
	case 2:
		over := make(chan struct{})
		s.issuer.setBehaviour(func(_ http.ResponseWriter, r *http.Request) bool {
			select {
			case <-over:
			case <-r.Context().Done():
			}
			panic(http.ErrAbortHandler) // with no answer
		})
		s.pause(length)
		close(over)
	}
	s.issuer.setBehaviour(nil)
	s.mishaps.end(one)
}

// failover kills the master of Redis; the replica takes over, and the old one comes
// back as its replica.
func (s *soak) failover(draw) {
	one := s.mishaps.begin(aFailover, nil, leaseOf+5*time.Second)
	s.redis.kill()
	for _, n := range s.nodes {
		await(s.t, 30*time.Second, "the node to find the store", func() bool {
			resp, err := http.Get("http://" + n.admin + "/oauth/grants?limit=1")
			if err != nil {
				return s.ended() || s.mishaps.down(n, time.Now(), time.Now())
			}
			closeAll(resp.Body)
			return resp.StatusCode == http.StatusOK
		})
	}
	s.mishaps.end(one)
}

// rotation has the issuer sign with another key.
func (s *soak) rotation(draw) {
	s.issuer.rotateKeys(s.t, func(d time.Duration) { s.pause(d) })
}

type draw interface{ IntN(n int) int }

// plan is when each kind of thing happens, by the seed alone.
type happening struct {
	what  string
	at    []time.Duration
	apart time.Duration // each from the one before
	do    func(d draw)
}

// planned draws the moments: in an hour each kind many times, in a short run once.
func (s *soak) planned() (all []happening) {
	for _, one := range []struct {
		what  string
		each  time.Duration
		apart time.Duration
		do    func(d draw)
	}{
		{"rotations of the issuer's keys", 3 * time.Minute, 15 * time.Second, s.rotation},
		{"reloads", time.Minute, 0, s.reload},
		{aKill, 2 * time.Minute, 0, s.kill},
		{anOutage, 3 * time.Minute, time.Second, s.outage},
		{aFailover, 4 * time.Minute, 20 * time.Second, s.failover},
	} {
		d := s.drawing(one.what)
		h := happening{what: one.what, apart: one.apart, do: one.do}
		for range max(1, int(s.length/one.each)) {
			h.at = append(h.at, time.Duration(d.Int64N(int64(s.length-min(s.length/2, time.Minute)))))
		}
		slices.Sort(h.at)
		all = append(all, h)
	}
	return all
}

// happen does what is planned, each kind beside the others.
func (s *soak) happen(all []happening) (wait func()) {
	var wg sync.WaitGroup
	began := time.Now()
	for _, h := range all {
		wg.Go(func() {
			d := s.drawing(h.what + " itself")
			for i, at := range h.at {
				if !s.pause(max(time.Until(began.Add(at)), h.apart*time.Duration(min(i, 1)))) {
					return
				}
				from := time.Since(began)
				h.do(d)
				s.t.Logf("%6.1fs to %.1fs: %s", from.Seconds(), time.Since(began).Seconds(), h.what)
				s.answers.add(h.what)
			}
		})
	}
	return wg.Wait
}
