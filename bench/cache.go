package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// lookups is what the gateway's own metrics say of its cache.
type lookups struct{ hits, misses float64 }

// share is the part of the look-ups since before that were hits, or -1 where
// there were none: bare Caddy has no cache.
func (l lookups) share(before lookups) float64 {
	hits, misses := l.hits-before.hits, l.misses-before.misses
	if hits+misses <= 0 {
		return -1
	}
	return hits / (hits + misses)
}

// lookups asks the admin endpoint of a Caddy; other candidates have none.
func (c *candidate) lookups(ctx context.Context) (lookups, error) {
	if !c.gateway {
		return lookups{}, nil
	}
	text, err := c.metrics(ctx)
	if err != nil {
		return lookups{}, err
	}
	return parseLookups(bytes.NewReader(text))
}

func (c *candidate) metrics(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reading the metrics of Caddy: %w", err)
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func parseLookups(r io.Reader) (lookups, error) {
	var l lookups
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, "caddy_oauth_cache_lookups_total{") {
			continue
		}
		n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return lookups{}, fmt.Errorf("reading %q: %w", line, err)
		}
		switch {
		case strings.Contains(line, `result="hit"`):
			l.hits += n
		case strings.Contains(line, `result="miss"`):
			l.misses += n
		}
	}
	return l, lines.Err()
}
