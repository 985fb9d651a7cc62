package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// fill begins as many sessions as there are to be.
func (s *soak) fill(sessions int) {
	s.slots = make([]*enduring, sessions)
	places := make(chan struct{}, 8)
	var wg sync.WaitGroup
	d := s.drawing("kinds of sessions")
	for i := 0; i < sessions; i += 2 {
		var pair [2]enduringKind
		for j := range pair {
			pair[j] = enduringKind(min(d.IntN(10)/3, 3)) // of ten three each, and a JWT
		}
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			s.refill(i, pair[:min(2, sessions-i)], s.nodes[i/2%len(s.nodes)])
		})
	}
	wg.Wait()
}

// refill begins the sessions of one user in the places from i on, until it can.
func (s *soak) refill(i int, kinds []enduringKind, n *soakNode) {
	s.mu.Lock()
	s.names++
	subject := "user-" + strconv.Itoa(s.names)
	s.mu.Unlock()
	var first *enduring
	for j, how := range kinds {
		for at := n.number; ; at++ {
			began := time.Now()
			x, err := s.begin(s.nodes[at%len(s.nodes)], how, subject)
			if err == nil {
				s.mu.Lock()
				if first == nil {
					first = x
				} else {
					x.beside, first.beside = first, x
				}
				s.slots[i+j] = x
				s.mu.Unlock()
				break
			}
			if !s.mishaps.excuse(began, time.Now()) {
				s.failf("%s cannot begin at node %d: %v", how, at%len(s.nodes), err)
			}
			if s.failures.Load() > 10 || s.ended() {
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
}

// some answers a session that is there, and its place.
func (s *soak) some(d draw) (*enduring, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := d.IntN(len(s.slots))
	return s.slots[i], i
}

func (s *soak) someNode(d draw) *soakNode { return s.nodes[d.IntN(len(s.nodes))] }

// load uses the sessions, each about once in so long, until the end.
func (s *soak) load(workers int, each time.Duration) (wait func()) {
	var wg sync.WaitGroup
	pace := each * time.Duration(workers) / time.Duration(len(s.slots))
	for worker := range workers {
		d := s.drawing("worker " + strconv.Itoa(worker))
		wg.Go(func() {
			for s.pause(pace/2 + time.Duration(d.Int64N(int64(pace)))) {
				s.one(d)
			}
		})
	}
	return wg.Wait
}

// one is one use of a session: now and then of one that was taken back, since it has
// to stay so.
func (s *soak) one(d *rand.Rand) {
	x, i := s.some(d)
	if d.IntN(20) == 0 {
		s.mu.Lock()
		if len(s.late) > 0 {
			x = s.late[d.IntN(len(s.late))]
		}
		s.mu.Unlock()
	}
	if x == nil {
		return
	}
	x.mu.Lock()
	over := x.taking.IsZero() && !x.gone && x.runsOut()
	x.gone = x.gone || over
	skip := x.gone && x.taking.IsZero()
	x.mu.Unlock()
	if over { // by itself
		s.replace(i, x, s.someNode(d))
	}
	if !skip {
		s.use(x, s.someNode(d))
	}
}

// replace has another user come in the place of one, with a session of the same kind.
func (s *soak) replace(i int, x *enduring, n *soakNode) {
	s.mu.Lock()
	there := i < len(s.slots) && s.slots[i] == x
	if there {
		s.slots[i] = nil
	}
	s.mu.Unlock()
	if there {
		s.refill(i, []enduringKind{x.how}, n)
	}
}

// use asks a node with a session, and judges what comes of it.
func (s *soak) use(x *enduring, n *soakNode) (status int) {
	req, _ := http.NewRequest(http.MethodGet, n.url("/orders"), nil)
	x.present(req)
	began := time.Now()
	a, err := send(n.client, req)
	ended := time.Now()
	taking, taken := x.back()
	wrong := ""
	switch {
	case err != nil:
		if a.status = 0; !s.mishaps.down(n, began, ended) {
			wrong = err.Error()
		}
	case a.status == http.StatusOK:
		if !taken.IsZero() && began.After(taken.Add(within())) && !s.mishaps.deaf(n, taken, began) {
			wrong = fmt.Sprintf("it is served %s after it was taken back", began.Sub(taken))
		}
	case a.status == http.StatusUnauthorized:
		if taking.IsZero() || ended.Before(taking) {
			wrong = "nobody has taken it back"
		}
	case a.status == http.StatusServiceUnavailable:
		if !s.mishaps.excuse(began, ended) {
			wrong = "nothing is wrong"
		}
	default:
		wrong = "want 200, 401 or 503"
	}
	if wrong != "" {
		s.failf("node %d answers %s of %s, begun %s ago, with %d after %s: %s", n.number, x.how, x.subject,
			time.Since(x.began).Round(time.Second), a.status, ended.Sub(began).Round(time.Millisecond), wrong)
	}
	s.answers.add(strconv.Itoa(a.status))
	if a.status == http.StatusServiceUnavailable {
		s.seen.add("503 since the last mishap ended", s.mishaps.since(ended))
	}
	return a.status
}

// since is how long ago the last mishap ended; none while one lasts.
func (m *mishaps) since(at time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	least := time.Hour
	for _, one := range m.all {
		if one.to.IsZero() {
			return 0
		}
		least = min(least, at.Sub(one.to))
	}
	return max(least, 0)
}

// measures are durations, by what they are of.
type measures struct {
	mu  sync.Mutex
	all map[string][]time.Duration
}

func (m *measures) add(what string, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[string][]time.Duration{}
	}
	m.all[what] = append(m.all[what], took)
}

// of answers how many there are, the median, and what 99 of 100 keep within.
func (m *measures) of(what string) (n int, median, most99, most time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Sorted(slices.Values(m.all[what]))
	if n = len(all); n == 0 {
		return 0, 0, 0, 0
	}
	return n, all[n/2], all[(n-1)*99/100], all[n-1]
}
