package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// memory is what a Caddy holds after a number of distinct tokens.
type memory struct {
	tokens    int
	heap, rss int64
}

// heapAfterGC asks the admin endpoint for a heap profile with a collection
// before it, twice: what sits in a sync.Pool survives the first. The profile's
// text form ends with the memory statistics.
func heapAfterGC(ctx context.Context, admin string) (int64, error) {
	var heap int64
	for range 2 {
		var err error
		if heap, err = heapProfile(ctx, admin); err != nil {
			return 0, fmt.Errorf("reading the heap of Caddy: %w", err)
		}
	}
	return heap, nil
}

func heapProfile(ctx context.Context, admin string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/debug/pprof/heap?gc=1&debug=1", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the admin endpoint answered %d", resp.StatusCode)
	}
	return heapAlloc(resp.Body)
}

func heapAlloc(r io.Reader) (int64, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "# HeapAlloc = "); ok {
			return strconv.ParseInt(text, 10, 64)
		}
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("the profile names no HeapAlloc")
}

// fill sends ever more distinct tokens and reads the memory at each step. The
// first reading comes after a thousand of them, when connections and buffers
// are there.
func fill(ctx context.Context, c *candidate, s *signer, steps []int) ([]memory, error) {
	now := time.Now()
	field := func(i int) (string, error) {
		token, err := s.sign(claims(i, now))
		return bearer + token, err
	}
	var out []memory
	sent := 0
	for _, upTo := range append([]int{1000}, steps...) {
		if err := lap(ctx, c.addr, sent, upTo, field); err != nil {
			return nil, err
		}
		sent = upTo
		heap, err := heapAfterGC(ctx, c.admin)
		if err != nil {
			return nil, err
		}
		rss, _, err := c.rss()
		if err != nil {
			return nil, err
		}
		out = append(out, memory{tokens: upTo, heap: heap, rss: rss})
	}
	return out, nil
}

// writeMemory sets the gateway beside bare Caddy, which saw the same tokens:
// what bare Caddy gains too is not the cache.
func writeMemory(w io.Writer, alg string, oauth, bare []memory) {
	const mb = 1 << 20
	fmt.Fprintf(w, "\n### Memory, %s\n\n", alg)
	fmt.Fprintln(w, "Heap after two collections. The last column is the growth since the row above, less bare Caddy's, for each token sent.")
	fmt.Fprintln(w)
	fmt.Fprintln(w, "| distinct tokens | heap `oauth` MB | heap bare MB | RSS `oauth` MB | RSS bare MB | bytes per new token |")
	fmt.Fprintln(w, "|--:|--:|--:|--:|--:|--:|")
	for i := range min(len(oauth), len(bare)) {
		o, b := oauth[i], bare[i]
		each := "–"
		if i > 0 {
			grown := (o.heap - oauth[i-1].heap) - (b.heap - bare[i-1].heap)
			each = fmt.Sprintf("%.0f", float64(grown)/float64(o.tokens-oauth[i-1].tokens))
		}
		fmt.Fprintf(w, "| %d | %.1f | %.1f | %.1f | %.1f | %s |\n", o.tokens,
			float64(o.heap)/mb, float64(b.heap)/mb, float64(o.rss)/mb, float64(b.rss)/mb, each)
	}
}
