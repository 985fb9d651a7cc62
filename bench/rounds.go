package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// bench is one run of the whole benchmark.
type bench struct {
	*options
	dir, script string
	upstream    *candidate
	kinds       []kind
}

func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// oneAndMany are the workloads of an algorithm.
func (b *bench) oneAndMany(alg string) []workload {
	loads := []workload{{alg: alg, tokens: 1}}
	if b.tokens > 1 {
		loads = append(loads, workload{alg: alg, tokens: b.tokens})
	}
	return loads
}

// speed measures workloads of one algorithm, the largest last. All candidates run
// during all rounds; an idle one costs nothing.
func (b *bench) speed(ctx context.Context, loads []workload) error {
	alg, most := loads[0].alg, loads[len(loads)-1].tokens
	s, err := newSigner(alg)
	if err != nil {
		return err
	}
	b.progress("signing %d tokens with %s", most, alg)
	tokens, err := s.tokens(most)
	if err != nil {
		return err
	}
	running, stop, err := b.startAll(ctx, s, tokens[0])
	if err != nil {
		return err
	}
	defer stop()

	for _, load := range loads {
		fields := bearers(tokens[:load.tokens])
		if load.browsers {
			fields = cookiesOf(running, load.tokens)
		}
		t, err := b.interleave(ctx, load, running, fields)
		if err != nil {
			return err
		}
		t.write(os.Stdout)
	}
	return nil
}

// startAll starts what can verify the algorithm and proves that it does.
func (b *bench) startAll(ctx context.Context, s *signer, good string) (running []*candidate, stop func(), err error) {
	var local *tokenIssuer
	redis, stopRedis, err := b.startRedis(ctx)
	stop = func() {
		defer stopRedis()
		if local != nil {
			local.stop()
		}
		for _, c := range running {
			if c != b.upstream {
				c.stop()
			}
		}
	}
	if err != nil {
		return nil, stop, err
	}
	st, err := keyFiles(b.dir, s)
	if err != nil {
		return nil, stop, err
	}
	st.Upstream, st.Procs, st.Redis, st.OAuth2Proxy = b.upstream.addr, b.procs, redis, b.oauth2Proxy
	if st.Cert, st.Key, err = certificate(b.dir); err != nil {
		return nil, stop, err
	}
	bad, err := s.badTokens(good)
	if err != nil {
		return nil, stop, err
	}
	if slices.ContainsFunc(b.kinds, func(k kind) bool { return k.swaps || k.browser }) {
		if local, err = startIssuer(s); err != nil {
			return nil, stop, err
		}
		st.LocalIssuer = local.url
	}
	for _, k := range b.kinds {
		if k.name == "direct" {
			running = append(running, b.upstream)
			continue
		}
		if !slices.Contains(k.algs, s.alg) {
			leftOut(k, "does not know "+s.alg)
			continue
		}
		c, err := b.startOne(ctx, k, st, good, bad)
		if err != nil && k.name == "bare" {
			stop()
			return nil, func() {}, fmt.Errorf("bare Caddy: %w", err)
		}
		if err != nil {
			leftOut(k, err.Error())
			continue
		}
		running = append(running, c)
	}
	return running, stop, ctx.Err()
}

// startOne starts a candidate, gets it tokens of its own if it needs them, and
// proves that it tells good tokens from bad ones.
func (b *bench) startOne(ctx context.Context, k kind, st setting, good string, bad map[string]string) (*candidate, error) {
	c, err := k.run(ctx, b.caddy, st)
	if err != nil {
		return nil, err
	}
	if k.browser && k.judges {
		if err := c.logIn(ctx, b.references); err != nil {
			c.stop()
			return nil, err
		}
		return c, nil
	}
	if k.swaps {
		b.progress("asking for %d reference tokens", b.references)
		var given reference
		if given, err = c.ask(ctx, b.references); err == nil {
			good, bad = given.Access, badReferences(given)
		}
	}
	if err == nil {
		fields := map[string]string{}
		for name, token := range bad {
			fields[name] = bearerOf(token)
		}
		err = check(ctx, c, bearerOf(good), fields)
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// sent is what wrk presents to one candidate.
type sent struct {
	path   string
	fields []string
}

// lines writes what wrk presents to each candidate, all of it or the first one.
func (b *bench) lines(load workload, running []*candidate, fields []string) (map[string]sent, error) {
	out := map[string]sent{}
	for _, c := range running {
		s := sent{path: filepath.Join(b.dir, "fields.txt"), fields: fields}
		if c.own != nil {
			s = sent{path: filepath.Join(b.dir, "fields-"+c.kind.name+".txt"), fields: c.own[:min(load.tokens, len(c.own))]}
		}
		if err := writeLines(s.path, s.fields); err != nil {
			return nil, err
		}
		out[c.kind.name] = s
	}
	return out, nil
}

// interleave runs one workload. Each round begins with another candidate, so that
// none always follows the same neighbour.
func (b *bench) interleave(ctx context.Context, load workload, running []*candidate, fields []string) (*table, error) {
	lines, err := b.lines(load, running, fields)
	if err != nil {
		return nil, err
	}
	t := &table{workload: load, rows: map[string][]sample{}}
	for _, c := range running {
		row := c.kind
		if n := len(lines[row.name].fields); n != load.tokens {
			row.title += fmt.Sprintf(", %d of them", n)
		}
		t.kinds = append(t.kinds, row)
		r := run{script: b.script, fields: lines[row.name].path, connections: b.connections, seconds: 1, over: load.over}
		if _, err := r.send(ctx, c.addr); err != nil {
			return nil, fmt.Errorf("warming up %s: %w", c.title, err)
		}
	}
	for round := range b.rounds {
		for i := range running {
			c := running[(i+round)%len(running)]
			s, err := b.one(ctx, c, lines[c.kind.name], load.over)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", load.title(), c.title, err)
			}
			t.rows[c.kind.name] = append(t.rows[c.kind.name], s)
			b.progress("%-8s %-6d round %d  %-9s  cpu %6.1f µs  upstream %5.1f µs  p50 %6.2f ms  p99 %6.2f ms  %7.0f/s  hits %s",
				load.what(), len(lines[c.kind.name].fields), round+1, c.kind.name, cpuOf(s), micros(s.upstreamCPU), p50Of(s), p99Of(s), s.perSecond, percent(s.hits))
		}
	}
	return t, nil
}

// one measures one candidate in one round. A gateway with a cache starts anew
// and gets a lap over all tokens first, not measured: a run of seconds would
// else be mostly about first sights, and entries of an earlier round, which the
// lap would find and not renew, would run out in the middle.
func (b *bench) one(ctx context.Context, c *candidate, s sent, over string) (sample, error) {
	if c.fresh && len(s.fields) > 1 {
		if err := c.restart(ctx); err != nil {
			return sample{}, err
		}
		at := func(i int) (string, error) { return s.fields[i], nil }
		if err := lap(ctx, c.addr, 0, len(s.fields), at); err != nil {
			return sample{}, fmt.Errorf("lap before the run: %w", err)
		}
	}
	return measure(ctx, c, b.upstream, run{
		script: b.script, fields: s.path, connections: b.connections, seconds: b.seconds,
		offset: rand.IntN(len(s.fields)), over: over,
	})
}

// memory fills the cache of the gateway, and shows bare Caddy the same tokens.
func (b *bench) memory(ctx context.Context) error {
	if !slices.ContainsFunc(b.kinds, func(k kind) bool { return k.name == "oauth" }) {
		fmt.Println("\nleft out: memory of the cache: there is no Caddy with `oauth` to measure")
		return nil
	}
	const alg = "EdDSA" // cheap to sign; the cache does not see the algorithm
	s, err := newSigner(alg)
	if err != nil {
		return err
	}
	st, err := keyFiles(b.dir, s)
	if err != nil {
		return err
	}
	st.Upstream, st.Procs = b.upstream.addr, b.procs
	seen := map[string][]memory{}
	for _, k := range b.kinds {
		if k.name != "bare" && k.name != "oauth" {
			continue
		}
		b.progress("memory: sending %d distinct tokens to %s", b.steps[len(b.steps)-1], k.title)
		c, err := k.run(ctx, b.caddy, st)
		if err != nil {
			return err
		}
		seen[k.name], err = fill(ctx, c, s, b.steps)
		c.stop()
		if err != nil {
			return fmt.Errorf("memory of %s: %w", k.title, err)
		}
	}
	writeMemory(os.Stdout, alg, seen["oauth"], seen["bare"])
	return nil
}
