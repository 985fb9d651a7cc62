package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pile is a gateway's file with grants, one of them in use and the others idle.
type pile struct {
	grants int
	kind   kind
	set    setting
	token  string // of the one in use
	size   int64  // of the file

	seen []idleness // one for each round
}

// idleness is what a gateway that started anew holds, and how it started.
type idleness struct {
	first        time.Duration // from the start of the process to the first 200
	heap         int64
	rss, ofFiles int64
}

// idleGrants sets a gateway with many idle grants in its file beside one with
// none.
func (b *bench) idleGrants(ctx context.Context) error {
	at := slices.IndexFunc(b.kinds, func(k kind) bool { return k.name == "reference" })
	if at < 0 {
		return nil
	}
	const alg = "EdDSA" // cheap to sign
	s, err := newSigner(alg)
	if err != nil {
		return err
	}
	local, err := startIssuer(s)
	if err != nil {
		return err
	}
	defer local.stop()
	var piles []*pile
	for _, n := range []int{0, b.idle} {
		p, err := b.prepare(ctx, b.kinds[at], s, local.url, n)
		if err != nil {
			return fmt.Errorf("%d idle grants: %w", n, err)
		}
		piles = append(piles, p)
	}
	for round := range b.rounds {
		for i := range piles {
			p := piles[(i+round)%len(piles)]
			seen, err := p.read(ctx, b.caddy)
			if err != nil {
				return fmt.Errorf("%d grants: %w", p.grants, err)
			}
			p.seen = append(p.seen, seen)
			b.progress("idle     %-6d round %d  first 200 after %s  heap %.2f MB  RSS %.1f MB, %.1f of files",
				p.grants-1, round+1, seen.first.Round(time.Millisecond), mega(seen.heap), mega(seen.rss), mega(seen.ofFiles))
		}
	}
	writeIdle(os.Stdout, piles[0], piles[1])
	return nil
}

// prepare lets a gateway grant so many, and one more, and stops it.
func (b *bench) prepare(ctx context.Context, k kind, s *signer, issuer string, idle int) (*pile, error) {
	dir := filepath.Join(b.dir, "idle-"+strconv.Itoa(idle))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	st, err := keyFiles(dir, s)
	if err != nil {
		return nil, err
	}
	st.Upstream, st.Procs, st.LocalIssuer = b.upstream.addr, b.procs, issuer
	p := &pile{grants: idle + 1, kind: k, set: st}
	c, err := k.run(ctx, b.caddy, st)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	b.progress("asking for %d grants", p.grants)
	began := time.Now()
	given, err := references(ctx, c.addr, p.grants)
	if err != nil {
		return nil, err
	}
	b.progress("granted after %s", time.Since(began).Round(time.Second/10))
	p.token = given[0].Access
	files, err := filepath.Glob(filepath.Join(dir, "grants-*.db"))
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("%d files with grants in %s", len(files), dir)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		return nil, err
	}
	p.size = info.Size()
	return p, nil
}

// read starts a gateway with the file, and reads its memory once it has served
// a request and counted all grants.
func (p *pile) read(ctx context.Context, caddy string) (idleness, error) {
	c, err := p.kind.launch(caddy, p.set)
	if err != nil {
		return idleness{}, err
	}
	defer c.stop()
	var seen idleness
	if seen.first, err = c.served(ctx, p.token); err != nil {
		return idleness{}, err
	}
	if err := c.counted(ctx, p.grants); err != nil {
		return idleness{}, err
	}
	if seen.heap, err = heapAfterGC(ctx, c.admin); err != nil {
		return idleness{}, err
	}
	seen.rss, seen.ofFiles, err = c.rss()
	return seen, err
}

// served waits for the first 200, and tells how long after the start it came.
func (c *candidate) served(ctx context.Context, token string) (time.Duration, error) {
	var status int
	err := c.await(ctx, time.Millisecond, func() (bool, error) {
		var err error
		status, err = c.get(ctx, bearerOf(token))
		return err == nil && status == http.StatusOK, nil // an error: it does not listen yet
	})
	if err != nil {
		return 0, fmt.Errorf("waiting for the first 200, the last answer was %d: %w", status, err)
	}
	return time.Since(c.began), nil
}

// counted waits until the gateway's metrics count so many grants.
func (c *candidate) counted(ctx context.Context, want int) error {
	var got int
	err := c.await(ctx, 50*time.Millisecond, func() (bool, error) {
		text, err := c.metrics(ctx)
		if err != nil {
			return false, err
		}
		got, err = liveGrants(bytes.NewReader(text))
		return got == want, err
	})
	if err != nil {
		return fmt.Errorf("waiting until %d grants are counted, the last count was %d: %w", want, got, err)
	}
	return nil
}

var errNever = errors.New("not within 30 s")

// await asks again and again until the answer is yes.
func (c *candidate) await(ctx context.Context, pause time.Duration, yes func() (bool, error)) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	for {
		if ok, err := yes(); ok || err != nil {
			return err
		}
		select {
		case <-c.done:
			return fmt.Errorf("%s ended: %s", c.proc.name, c.lastWords())
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			return errNever
		case <-tick.C:
		}
	}
}

func liveGrants(r io.Reader) (int, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), `caddy_oauth_grants{state="live"} `); ok {
			n, err := strconv.ParseFloat(text, 64)
			return int(n), err
		}
	}
	return 0, lines.Err()
}

func mega(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func writeIdle(w io.Writer, none, many *pile) {
	fmt.Fprintf(w, "\n### Idle grants\n\n")
	fmt.Fprintln(w, "Medians. First 200: from the start of the process. Heap after two collections, and after the gateway has counted its grants.")
	fmt.Fprintln(w)
	fmt.Fprintln(w, "| idle grants | file MB | first 200 ms | heap MB | RSS MB | RSS without pages of files MB |")
	fmt.Fprintln(w, "|--:|--:|--:|--:|--:|--:|")
	figures := []func(idleness) float64{
		func(s idleness) float64 { return micros(s.first) / 1000 },
		func(s idleness) float64 { return mega(s.heap) },
		func(s idleness) float64 { return mega(s.rss) },
		func(s idleness) float64 { return mega(s.rss - s.ofFiles) },
	}
	for _, p := range []*pile{none, many} {
		fmt.Fprintf(w, "| %d | %.1f", p.grants-1, mega(p.size))
		for _, figure := range figures {
			fmt.Fprintf(w, " | %.1f", median(column(p.seen, figure)))
		}
		fmt.Fprintln(w, " |")
	}
	fmt.Fprint(w, "| ratio | ")
	for _, figure := range figures {
		fmt.Fprintf(w, " | %s", spread(ratios(column(many.seen, figure), column(none.seen, figure))))
	}
	fmt.Fprintln(w, " |")
}
