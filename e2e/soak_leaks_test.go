package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"
)

// stays is what a process holds.
type stays struct {
	goroutines, descriptors int
	heap                    int64 // bytes, after a collection
	streams                 float64
}

func (s stays) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %.1f MB of heap, %.0f open streams", s.goroutines, s.descriptors, float64(s.heap)/(1<<20), s.streams)
}

// What may be more at the end than at the beginning. A node is lineMost connections
// to Redis away from its least; a few goroutines and connections belong to what is
// just being done (a look at the store, at keys). What stays for each request, stream,
// reload or taking back comes to hundreds in an hour.
const (
	moreGoroutines  = 12
	moreDescriptors = lineMost + 8
)

// moreHeap is for what is remembered and bounded: verified tokens, grants in use, what
// was taken back within listKeeps, the room that maps keep. In an hour a node gets some
// 100,000 requests: 100 bytes that stay for each would be 10 MB.
func moreHeap() int64 { return long[int64](10<<20, 6<<20) }

var (
	goroutineTotal = regexp.MustCompile(`goroutine profile: total (\d+)`)
	heapAlloc      = regexp.MustCompile(`# HeapAlloc = (\d+)`)
)

// holds is what a node holds now.
func (n *soakNode) holds() (now stays) {
	now.goroutines = n.number1(goroutineTotal, "/debug/pprof/goroutine?debug=1")
	n.adminGet("/debug/pprof/heap?gc=1&debug=1")                             // what has a finalizer goes with the second one
	now.heap = int64(n.number1(heapAlloc, "/debug/pprof/heap?gc=1&debug=1")) //nolint:gosec // no address space is larger
	for name, value := range n.metrics() {
		if regexp.MustCompile(`^caddy_oauth_streams\{`).MatchString(name) {
			now.streams += value
		}
	}
	if open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.proc.cmd.Process.Pid)); err == nil {
		now.descriptors = len(open)
	}
	return now
}

func (n *soakNode) number1(match *regexp.Regexp, path string) int {
	found := match.FindStringSubmatch(n.adminGet(path))
	if found == nil {
		n.t.Fatalf("%s has no %s", path, match)
	}
	number, _ := strconv.Atoi(found[1])
	return number
}

// settle closes every connection that nobody uses.
func (s *soak) settle() {
	for _, n := range s.nodes {
		n.client.CloseIdleConnections()
	}
	s.browser.CloseIdleConnections()
	plainClient.CloseIdleConnections()
	s.up.server.CloseClientConnections()
	s.issuer.stop()
	s.issuer.start()
	s.sender.CloseClientConnections()
}

// rest is what the first node holds when nothing is going on: the least of some looks.
func (s *soak) rest() stays {
	s.settle()
	least := s.nodes[0].holds()
	for range 5 {
		time.Sleep(200 * time.Millisecond)
		now := s.nodes[0].holds()
		least.goroutines, least.descriptors = min(least.goroutines, now.goroutines), min(least.descriptors, now.descriptors)
		least.heap = min(least.heap, now.heap)
	}
	return least
}

// wantNothingStays checks that no node holds more than the first one did at first.
func (s *soak) wantNothingStays(before stays) {
	s.settle()
	for _, n := range s.nodes {
		var now stays
		for end := time.Now().Add(3 * time.Minute); ; time.Sleep(time.Second) {
			now = n.holds()
			good := now.goroutines <= before.goroutines+moreGoroutines && now.descriptors <= before.descriptors+moreDescriptors &&
				now.heap <= before.heap+moreHeap() && now.streams == 0
			if good {
				break
			}
			if time.Now().After(end) {
				s.failf("node %d keeps %s; at first it was %s\n%.6000s", n.number, now, before, n.adminGet("/debug/pprof/goroutine?debug=1"))
				break
			}
		}
		s.t.Logf("node %d at the end: %s", n.number, now)
	}
}
