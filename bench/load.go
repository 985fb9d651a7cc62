package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// wrkThreads is one: a second thread would only take time from the candidate.
const wrkThreads = 1

// sample is one bounded run of wrk against one candidate.
type sample struct {
	requests        int
	cpu             time.Duration // of the candidate, for one request
	upstreamCPU     time.Duration // of the upstream, for one request
	p50, p99        time.Duration
	perSecond       float64
	refused, broken int
	hits            float64 // share of cache hits, -1 without a cache
}

// run is how wrk is to be run.
type run struct {
	script, fields string // paths
	connections    int
	seconds        int
	offset         int
	over           string // "" for wrk and plain HTTP/1.1, or what over says of it
}

// measure reads the CPU time of candidate and upstream right before and right
// after one run of wrk.
func measure(ctx context.Context, c, upstream *candidate, r run) (sample, error) {
	seen, err := c.lookups(ctx)
	if err != nil {
		return sample{}, err
	}
	cpu0, err := c.cpu()
	if err != nil {
		return sample{}, err
	}
	up0, err := upstream.cpu()
	if err != nil {
		return sample{}, err
	}
	s, err := r.send(ctx, c.addr)
	if err != nil {
		return sample{}, err
	}
	cpu1, err := c.cpu()
	if err != nil {
		return sample{}, err
	}
	up1, err := upstream.cpu()
	if err != nil {
		return sample{}, err
	}
	after, err := c.lookups(ctx)
	if err != nil {
		return sample{}, err
	}
	s.hits = after.share(seen)
	s.cpu = (cpu1 - cpu0) / time.Duration(s.requests)
	s.upstreamCPU = (up1 - up0) / time.Duration(s.requests)
	return s, nil
}

func (r run) send(ctx context.Context, addr string) (sample, error) {
	if r.over != "" {
		return r.sendOverTLS(ctx, addr)
	}
	return r.wrk(ctx, addr)
}

func (r run) wrk(ctx context.Context, addr string) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.seconds+60)*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "wrk",
		"-t", strconv.Itoa(wrkThreads), "-c", strconv.Itoa(r.connections),
		"-d", strconv.Itoa(r.seconds)+"s", "-s", r.script, "http://"+addr+"/",
		"--", r.fields, strconv.Itoa(r.offset), strconv.Itoa(wrkThreads))
	return result(cmd)
}

// result runs what sends requests, and reads what it says of them.
func result(cmd *exec.Cmd) (sample, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("running %s: %w: %s", cmd.Path, err, out)
	}
	s, err := parseResult(string(out))
	if err != nil {
		return sample{}, fmt.Errorf("%w: %s", err, out)
	}
	if s.refused+s.broken > 0 || s.requests == 0 {
		return sample{}, fmt.Errorf("%d answers, %d refused, %d broken: nothing to measure", s.requests, s.refused, s.broken)
	}
	return s, nil
}

// parseResult reads the line that wrk.lua, or sendLoad, prints last.
func parseResult(out string) (sample, error) {
	at := strings.LastIndex(out, "RESULT ")
	if at < 0 {
		return sample{}, errors.New("nothing printed a result")
	}
	var s sample
	var micros, p50, p99 int
	_, err := fmt.Sscanf(out[at:], "RESULT requests=%d refused=%d broken=%d micros=%d p50=%d p99=%d",
		&s.requests, &s.refused, &s.broken, &micros, &p50, &p99)
	if err != nil {
		return sample{}, fmt.Errorf("reading the result: %w", err)
	}
	s.p50, s.p99 = time.Duration(p50)*time.Microsecond, time.Duration(p99)*time.Microsecond
	if micros > 0 {
		s.perSecond = float64(s.requests) / (float64(micros) / 1e6)
	}
	return s, nil
}

// check proves that a candidate takes a good field and, if it judges at all,
// refuses every bad one. The speed of one that does not is worth nothing.
func check(ctx context.Context, c *candidate, good string, bad map[string]string) error {
	status, err := c.get(ctx, good)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("a good one was answered %d: %s", status, c.lastWords())
	}
	if !c.judges {
		return nil
	}
	for name, field := range bad {
		status, err := c.get(ctx, field)
		if err != nil {
			return err
		}
		if status != http.StatusUnauthorized && status != http.StatusForbidden {
			return fmt.Errorf("%s was answered %d", name, status)
		}
	}
	return nil
}

// get sends one request with a header field, or without one if that is empty.
func (c *candidate) get(ctx context.Context, field string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client, base := http.DefaultClient, "http://"+c.addr+"/"
	if c.tls {
		client, base = &http.Client{Transport: http1()}, overAddr(c.addr)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base, nil)
	if err != nil {
		return 0, err
	}
	req.Close = true
	if name, value, ok := strings.Cut(field, ": "); ok {
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// lap sends fields first to last (not included), each once, over a few
// connections.
func lap(ctx context.Context, addr string, first, last int, field func(int) (string, error)) error {
	const connections = 8
	errs := make([]error, connections)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() { errs[w] = lapShare(ctx, addr, first+w, last, connections, field) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func lapShare(ctx context.Context, addr string, first, last, step int, field func(int) (string, error)) error {
	if first >= last {
		return nil
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for i := first; i < last; i += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := field(i)
		if err != nil {
			return err
		}
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", addr, f); err != nil {
			return fmt.Errorf("sending token %d: %w", i, err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return fmt.Errorf("reading the answer to token %d: %w", i, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return fmt.Errorf("reading the answer to token %d: %w", i, err)
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("token %d was answered %d", i, resp.StatusCode)
		}
	}
	return nil
}
