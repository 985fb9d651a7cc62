package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// streamingUpstream answers requests, streams events at /events, and takes
// WebSockets, which echo.
type streamingUpstream struct {
	upstream
}

const eventEach = 2 * time.Second

func startStreaming(t *testing.T) *streamingUpstream {
	t.Helper()
	u := &streamingUpstream{}
	u.server = httptest.NewServer(u)
	t.Cleanup(u.server.Close)
	return u
}

func (u *streamingUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/socket":
		echoSocket(w, r)
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(eventEach)
		defer tick.Stop()
		for {
			if _, err := io.WriteString(w, ":\n\n"); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	default:
		_, _ = io.WriteString(w, "{}")
	}
}

// openStream is an exchange of a session that stays open.
type openStream struct {
	x      *enduring
	n      *soakNode
	kind   string
	opened time.Time
	ended  chan struct{}
	at     time.Time // when it ended
}

// stream opens one exchange of some session after the other, until the end.
func (s *soak) stream(number int) {
	d := s.drawing(fmt.Sprint("stream ", number))
	kind := [2]string{"events", "a WebSocket"}[number%2]
	for s.pause(time.Duration(d.IntN(500)) * time.Millisecond) {
		x, _ := s.some(d)
		if x == nil || !x.living() {
			continue
		}
		s.follow(x, s.someNode(d), kind)
	}
}

// follow opens an exchange and reads until it ends.
func (s *soak) follow(x *enduring, n *soakNode, kind string) {
	began := time.Now()
	conn, from, status, err := dialStream(s.ctx, n, x, kind)
	if err != nil || status >= 400 {
		taking, _ := x.back()
		refused := err == nil && status == http.StatusUnauthorized && !taking.IsZero()
		// A listener that a reload closes cuts off what it has not accepted.
		if !refused && err == nil && !s.mishaps.excuse(began, time.Now()) && !s.ended() {
			s.failf("node %d opens no %s for %s of %s: %d", n.number, kind, x.how, x.subject, status)
		}
		s.answers.add("not opened")
		return
	}
	defer closeAll(conn)
	o := &openStream{x: x, n: n, kind: kind, opened: time.Now(), ended: make(chan struct{})}
	x.mu.Lock()
	x.streams[o] = struct{}{}
	x.mu.Unlock()
	how := readStream(s.ctx, conn, from, kind)
	o.at = time.Now()
	close(o.ended)
	x.mu.Lock()
	delete(x.streams, o)
	x.mu.Unlock()
	if !s.ended() {
		s.answers.add("ended: " + kind)
		s.judgeEnd(o, how)
	}
}

// judgeEnd tells whether an exchange ended for a reason.
func (s *soak) judgeEnd(o *openStream, how error) {
	taking, _ := o.x.back()
	switch {
	case !taking.IsZero() && taking.Before(o.at):
	case s.mishaps.down(o.n, o.opened, o.at):
	case o.x.how == aJWT && time.Until(o.x.expiry) < 2*time.Second: // the gateway cannot renew it
	default:
		s.failf("node %d ends %s of %s (%s), which lives, after %s: %v", o.n.number, o.kind, o.x.how, o.x.subject, o.at.Sub(o.opened).Round(time.Millisecond), how)
	}
}

var errStuck = errors.New("nothing comes any more")

// dialStream asks for an exchange, over a connection of its own.
func dialStream(ctx context.Context, n *soakNode, x *enduring, kind string) (net.Conn, *bufio.Reader, int, error) {
	conn, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, "tcp", fmt.Sprint("127.0.0.1:", n.port))
	if err != nil {
		return nil, nil, 0, err
	}
	req, _ := http.NewRequest(http.MethodGet, n.url("/events"), nil)
	if kind != "events" {
		req, _ = http.NewRequest(http.MethodGet, n.url("/socket"), nil)
		for _, line := range aWebSocket {
			name, value, _ := strings.Cut(line, ": ")
			req.Header.Set(name, value)
		}
		req.Header.Set("Origin", "http://"+req.Host) // a page of the site
	}
	x.present(req)
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if err := req.Write(conn); err != nil {
		closeAll(conn)
		return nil, nil, 0, err
	}
	from := bufio.NewReaderSize(conn, 512)
	resp, err := http.ReadResponse(from, req)
	if err != nil || resp.StatusCode >= 400 {
		closeAll(conn)
		if err != nil {
			return nil, nil, 0, err
		}
	}
	return conn, from, resp.StatusCode, nil
}

// readStream reads until the end, and answers how that came. What is open must stay
// of use: events come, and a WebSocket echoes.
func readStream(ctx context.Context, conn net.Conn, from *bufio.Reader, kind string) error {
	defer context.AfterFunc(ctx, func() { closeAll(conn) })()
	buf := make([]byte, 256)
	const frame = "\x82\x01x"
	var speaks sync.WaitGroup
	defer speaks.Wait()
	if kind != "events" {
		done := make(chan struct{})
		defer close(done)
		speaks.Go(func() {
			tick := time.NewTicker(eventEach)
			defer tick.Stop()
			for {
				_, _ = io.WriteString(conn, frame)
				select {
				case <-tick.C:
				case <-done:
					return
				}
			}
		})
	}
	for {
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		n, err := from.Read(buf)
		switch {
		case isTimeout(err):
			return errStuck
		case err != nil:
			return err
		case kind != "events" && buf[0] == 0x88 && n > 3:
			return fmt.Errorf("closed with %d %q", int(buf[2])<<8|int(buf[3]), buf[4:n])
		}
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
