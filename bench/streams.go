package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// serveStreams answers every request with an answer that does not end.
func serveStreams(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listening for the upstream: %w", err)
	}
	for {
		conn, err := ln.Accept()
		if err != nil {
			return fmt.Errorf("accepting for the upstream: %w", err)
		}
		go func() {
			defer conn.Close()
			r := bufio.NewReaderSize(conn, 4<<10)
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n:\n\n")
			_, _ = io.Copy(io.Discard, r) // until the gateway has enough of it
		}()
	}
}

// threeNodes are gateways on one Redis.
type threeNodes struct {
	nodes    []*candidate
	upstream *proc
	issuer   *tokenIssuer
	sender   *transmitter
	stops    []func()
}

func (n *threeNodes) stop() {
	for _, stop := range slices.Backward(n.stops) {
		stop()
	}
}

// openStreams measures how long streams at three nodes stay open after an event at the
// first of them has taken back what let them in.
func (b *bench) openStreams(ctx context.Context) error {
	n, err := b.startThree(ctx)
	if n != nil {
		defer n.stop()
	}
	if err != nil {
		return fmt.Errorf("starting three gateways: %w", err)
	}
	fmt.Fprintf(os.Stdout, "\n### Streams that end with what let them in\n\n%d streams of events at three gateways on one Redis; events are pushed to the first one, each when the one before is answered. A row is one round.\n\n", b.streams)
	fmt.Fprintln(os.Stdout, "| subjects | an event is answered after, median | all events | from the answer to a stream's end: p50 | p99 | last | from the sending: p99 | last |")
	fmt.Fprintln(os.Stdout, "|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, subjects := range b.subjects {
		for round := range b.rounds {
			if err := b.oneEnd(ctx, n, subjects, fmt.Sprintf("%d-%d", subjects, round)); err != nil {
				return fmt.Errorf("%d subjects: %w", subjects, err)
			}
		}
	}
	return nil
}

func (b *bench) startThree(ctx context.Context) (*threeNodes, error) {
	n := &threeNodes{}
	s, err := newSigner("EdDSA")
	if err != nil {
		return n, err
	}
	st, err := keyFiles(b.dir, s)
	if err != nil {
		return n, err
	}
	var stopRedis func()
	if st.Redis, stopRedis, err = b.runRedis(ctx); err != nil {
		return n, err
	}
	n.stops = append(n.stops, stopRedis)
	if n.issuer, err = startIssuer(s); err != nil {
		return n, err
	}
	n.stops = append(n.stops, n.issuer.stop)
	if n.sender, err = startTransmitter(s); err != nil {
		return n, err
	}
	n.stops = append(n.stops, n.sender.stop)
	self, err := os.Executable()
	if err != nil {
		return n, err
	}
	if st.Upstream, err = freeAddr(); err != nil {
		return n, err
	}
	if n.upstream, err = start(b.dir, "streaming-upstream", nil, self, "-serve-streams", st.Upstream); err != nil {
		return n, err
	}
	n.stops = append(n.stops, n.upstream.stop)
	if err := n.upstream.ready(ctx, st.Upstream); err != nil {
		return n, err
	}
	st.Procs, st.LocalIssuer, st.Transmitter = b.procs, n.issuer.url, n.sender.url
	for i := range 3 {
		c, err := kind{name: "streams-" + strconv.Itoa(i), config: "streams.Caddyfile", gateway: true}.run(ctx, b.caddy, st)
		if err != nil {
			return n, err
		}
		n.nodes, n.stops = append(n.nodes, c), append(n.stops, c.stop)
	}
	return n, nil
}

// stream is one that is open, and when it ended.
type stream struct {
	subject int
	conn    net.Conn
	end     time.Time
}

// oneEnd opens all streams, takes back all subjects, and waits for all ends.
func (b *bench) oneEnd(ctx context.Context, n *threeNodes, subjects int, name string) error {
	streams, err := b.openAll(ctx, n, subjects, name)
	defer func() {
		for _, s := range streams {
			if s != nil {
				_ = s.conn.Close()
			}
		}
	}()
	if err != nil {
		return err
	}
	b.progress("%d streams of %d subjects are open", len(streams), subjects)
	time.Sleep(3 * time.Second) // they are watched from when they are older than a moment; tokens say seconds
	var ends sync.WaitGroup
	for _, s := range streams {
		ends.Go(func() {
			_ = s.conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
			_, _ = io.Copy(io.Discard, s.conn)
			s.end = time.Now()
		})
	}
	sent, answered := make([]time.Time, subjects), make([]time.Time, subjects)
	for i := range subjects {
		sent[i] = time.Now()
		if err := n.sender.push(ctx, n.nodes[0].addr, n.issuer.url, fmt.Sprintf("user-%s-%d", name, i)); err != nil {
			return err
		}
		answered[i] = time.Now()
	}
	ends.Wait()
	writeEnds(streams, sent, answered)
	return ctx.Err()
}

// openAll opens streams, at each node a third.
func (b *bench) openAll(ctx context.Context, n *threeNodes, subjects int, name string) ([]*stream, error) {
	now := time.Now()
	tokens := make([]string, subjects)
	for i := range tokens {
		payload := claims(i, now)
		payload["iss"], payload["sub"] = n.issuer.url, fmt.Sprintf("user-%s-%d", name, i)
		payload["jti"] = name + strconv.Itoa(i)
		var err error
		if tokens[i], err = n.issuer.signer.sign(payload); err != nil {
			return nil, err
		}
	}
	streams, errs := make([]*stream, b.streams), make([]error, 32)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for i := w; i < len(streams) && errs[w] == nil && ctx.Err() == nil; i += len(errs) {
				streams[i] = &stream{subject: i % subjects}
				streams[i].conn, errs[w] = openOne(ctx, n.nodes[i%3].addr, tokens[i%subjects])
			}
		})
	}
	wg.Wait()
	streams = slices.DeleteFunc(streams, func(s *stream) bool { return s == nil || s.conn == nil })
	if len(streams) < b.streams {
		return streams, fmt.Errorf("%d of %d streams were opened; each takes two descriptors of a gateway (ulimit -n): %w", len(streams), b.streams, firstOf(errs))
	}
	return streams, nil
}

func openOne(ctx context.Context, addr, token string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 20 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+addr+"\r\nAuthorization: Bearer "+token+"\r\n\r\n"); err == nil {
		var resp *http.Response
		if resp, err = http.ReadResponse(bufio.NewReaderSize(conn, 512), nil); err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("a stream is answered with %d", resp.StatusCode)
		}
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

func writeEnds(streams []*stream, sent, answered []time.Time) {
	var asked, fromAnswer, fromSending []time.Duration
	for i := range sent {
		asked = append(asked, answered[i].Sub(sent[i]))
	}
	for _, s := range streams {
		fromAnswer = append(fromAnswer, max(s.end.Sub(answered[s.subject]), 0))
		fromSending = append(fromSending, s.end.Sub(sent[s.subject]))
	}
	at := func(all []time.Duration, part int) string {
		slices.Sort(all)
		return fmt.Sprintf("%.0f ms", micros(all[(len(all)-1)*part/100])/1000)
	}
	fmt.Printf("| %d | %s | %.0f ms | %s | %s | %s | %s | %s |\n", len(sent), at(asked, 50), micros(answered[len(answered)-1].Sub(sent[0]))/1000,
		at(fromAnswer, 50), at(fromAnswer, 99), at(fromAnswer, 100), at(fromSending, 99), at(fromSending, 100))
}
