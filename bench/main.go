// Command bench sets the gateway beside bare Caddy, HAProxy and Apache: same
// tokens, same upstream, rounds interleaved, CPU time read from the process.
// README.md says how to read what it prints.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed wrk.lua
var wrkScript []byte

// role is what the benchmark is when it has started itself.
type role struct{ upstream, streams, load, over, fields string }

type options struct {
	rounds, seconds, connections int
	tokens, procs                int
	references, idle, streams    int
	caddy, oauth2Proxy           string
	only, algs, parts            []string
	steps, subjects              []int
}

// The main thread must live as long as the program: see start.
func init() { runtime.LockOSThread() }

func main() {
	o, be, err := parseFlags()
	switch {
	case err != nil:
	case be.upstream != "":
		err = serveUpstream(be.upstream)
	case be.streams != "":
		err = serveStreams(be.streams)
	case be.load != "":
		err = sendLoad(be, o.connections, time.Duration(o.seconds)*time.Second)
	default:
		ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer cancel()
		if err = o.bench(ctx); ctx.Err() != nil {
			err = errors.New("interrupted; everything it started is stopped")
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseFlags() (o options, be role, err error) {
	var only, algs, parts, steps, subjects string
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each workload")
	flag.IntVar(&o.seconds, "seconds", 5, "seconds of each run of wrk")
	flag.IntVar(&o.connections, "connections", 16, "connections that wrk keeps open")
	flag.IntVar(&o.tokens, "tokens", 50000, "distinct tokens in the workload with many")
	flag.IntVar(&o.references, "references", 5000, "distinct reference tokens in the workload with many; each costs the gateway a durable write")
	flag.IntVar(&o.idle, "idle", 100000, "idle grants in the gateway's file, of which memory and start are read")
	flag.IntVar(&o.procs, "procs", runtime.NumCPU(), "GOMAXPROCS of Caddy, threads of HAProxy")
	flag.StringVar(&o.caddy, "caddy", "../bin/caddy", "the built Caddy")
	flag.StringVar(&o.oauth2Proxy, "oauth2-proxy", "", "a built oauth2-proxy, to set beside the gateway with browsers' sessions; README.md says how to get one")
	flag.StringVar(&only, "only", "", "candidates, of direct,bare,control,oauth,uncached,reference,redis,haproxy,apache; bare is always there")
	flag.StringVar(&algs, "algs", strings.Join(allAlgs, ","), "algorithms")
	flag.StringVar(&parts, "parts", "cpu,memory", "what to measure, of cpu,tls,browsers,memory,streams")
	flag.IntVar(&o.streams, "streams", 10000, "open streams at three gateways")
	flag.StringVar(&subjects, "subjects", "1,100", "of how many subjects these are")
	flag.StringVar(&steps, "steps", "10000,50000,100000,200000,300000", "distinct tokens after which memory is read")
	flag.StringVar(&be.upstream, "serve-upstream", "", "be the upstream on this address (the benchmark starts itself so)")
	flag.StringVar(&be.streams, "serve-streams", "", "the same, with answers that do not end")
	flag.StringVar(&be.load, "send-load", "", "send requests to this address (the benchmark starts itself so)")
	flag.StringVar(&be.over, "over", "", "of -send-load: the protocol")
	flag.StringVar(&be.fields, "fields", "", "of -send-load: a file of header fields")
	flag.Parse()
	o.only, o.algs, o.parts = words(only), words(algs), words(parts)
	if o.steps, err = numbers("-steps", steps); err != nil {
		return o, be, err
	}
	if o.subjects, err = numbers("-subjects", subjects); err != nil {
		return o, be, err
	}
	return o, be, o.validate()
}

func numbers(name, text string) (all []int, err error) {
	for _, s := range words(text) {
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, n)
	}
	return all, nil
}

func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func (o *options) validate() error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if min(o.rounds, o.seconds, o.connections, o.tokens, o.references, o.idle, o.streams, o.procs) < 1 {
		return errors.New("-rounds, -seconds, -connections, -tokens, -references, -idle, -streams and -procs are at least 1")
	}
	if slices.ContainsFunc(o.subjects, func(n int) bool { return n < 1 || n > o.streams }) {
		return errors.New("-subjects: each has a stream at least")
	}
	names := []string{}
	for _, k := range slices.Concat(kinds, tlsKinds, browserKinds) {
		names = append(names, k.name)
	}
	if err := known("-only", o.only, names); err != nil {
		return err
	}
	if err := known("-algs", o.algs, allAlgs); err != nil {
		return err
	}
	if err := known("-parts", o.parts, []string{"cpu", "tls", "browsers", "memory", "streams"}); err != nil {
		return err
	}
	last := 1000 // where the first reading of memory is
	for _, n := range o.steps {
		if n <= last {
			return fmt.Errorf("-steps: %d after %d: want growing numbers above 1000", n, last)
		}
		last = n
	}
	path, err := filepath.Abs(o.caddy)
	o.caddy = path
	return err
}

func known(name string, got, want []string) error {
	for _, g := range got {
		if !slices.Contains(want, g) {
			return fmt.Errorf("%s: %q is none of %s", name, g, strings.Join(want, ", "))
		}
	}
	return nil
}

func (o *options) bench(ctx context.Context) error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return errors.New("wrk is not installed: apt-get install wrk, or run ./setup.sh")
	}
	if _, err := os.Stat(o.caddy); err != nil {
		return fmt.Errorf("no Caddy to measure: %w; build it, or name it with -caddy", err)
	}
	dir, err := os.MkdirTemp("", "oauth-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	script := filepath.Join(dir, "wrk.lua")
	if err := os.WriteFile(script, wrkScript, 0o600); err != nil {
		return err
	}
	upstream, err := runUpstream(ctx, dir)
	if err != nil {
		return err
	}
	defer upstream.stop()

	chosen := o.choose(ctx, kinds)
	if !slices.ContainsFunc(chosen, func(k kind) bool { return k.name == "bare" }) {
		return errors.New("bare Caddy is what everything is compared with, and it is left out")
	}
	b := &bench{options: o, dir: dir, script: script, upstream: upstream, kinds: chosen}
	fmt.Printf("%d rounds of %d s, %d connections, %d cores, GOMAXPROCS=%d\n",
		o.rounds, o.seconds, o.connections, runtime.NumCPU(), o.procs)
	return b.all(ctx)
}

// all runs the parts that were chosen.
func (b *bench) all(ctx context.Context) error {
	if slices.Contains(b.parts, "cpu") {
		for _, alg := range b.algs {
			if err := b.speed(ctx, b.oneAndMany(alg)); err != nil {
				return err
			}
		}
	}
	if slices.Contains(b.parts, "tls") {
		if err := b.overTLS(ctx); err != nil {
			return err
		}
	}
	if slices.Contains(b.parts, "browsers") {
		if err := b.browsers(ctx); err != nil {
			return err
		}
	}
	if slices.Contains(b.parts, "streams") {
		if err := b.openStreams(ctx); err != nil {
			return err
		}
	}
	if slices.Contains(b.parts, "memory") {
		if err := b.memory(ctx); err != nil {
			return err
		}
		return b.idleGrants(ctx)
	}
	return nil
}

// choose leaves out what was not asked for, and says so of what is not there.
func (o *options) choose(ctx context.Context, of []kind) []kind {
	var chosen []kind
	for _, k := range of {
		if len(o.only) > 0 && k.name != "bare" && !slices.Contains(o.only, k.name) {
			continue
		}
		if why := k.missing(ctx, o); why != "" {
			leftOut(k, why)
			continue
		}
		chosen = append(chosen, k)
	}
	return chosen
}

func leftOut(k kind, why string) { fmt.Printf("left out: %s: %s\n", k.title, why) }
