package e2e

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// switcher is an upstream that takes any upgrade it is offered: to h2c it
// speaks HTTP/2 in the same connection (RFC 7540 §3.2), to websocket it echoes.
type switcher struct {
	server   *httptest.Server
	switched chan net.Conn // to HTTP/2
	mu       sync.Mutex
	saw      []string
}

func startSwitcher(t *testing.T) *switcher {
	t.Helper()
	s := &switcher{switched: make(chan net.Conn)}
	s.server = httptest.NewServer(http.HandlerFunc(s.answer))
	inside := &http.Server{Handler: http.HandlerFunc(s.note), Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	inside.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := inside.Serve(&handedOver{conns: s.switched, closed: make(chan struct{})}); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		closeAll(inside)
		<-done
		s.server.Close()
	})
	return s
}

func (s *switcher) address() string { return strings.TrimPrefix(s.server.URL, "http://") }

func (s *switcher) note(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saw = append(s.saw, strings.TrimSpace(fmt.Sprint(r.Proto, " ", r.URL.Path, " ", r.Header.Get("X-User-Id"))))
	w.WriteHeader(http.StatusNoContent)
}

// seen is the requests so far: protocol, path and X-User-Id.
func (s *switcher) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.saw)
}

func (s *switcher) answer(w http.ResponseWriter, r *http.Request) {
	upgrade := strings.ToLower(strings.Join(r.Header.Values("Upgrade"), ","))
	if upgrade == "" {
		s.note(w, r)
		return
	}
	s.note(httptest.NewRecorder(), r)
	if strings.Contains(upgrade, "h2c") {
		if conn, from, err := switchTo(w, r, "h2c"); err == nil {
			s.switched <- readAhead{conn, from}
		}
		return
	}
	echoSocket(w, r)
}

// echoSocket takes a WebSocket and sends back what comes.
func echoSocket(w http.ResponseWriter, r *http.Request) {
	if conn, from, err := switchTo(w, r, "websocket"); err == nil {
		_, _ = io.Copy(conn, from)
		closeAll(conn)
	}
}

func switchTo(w http.ResponseWriter, r *http.Request, word string) (net.Conn, *bufio.Reader, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 §4.2.2
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		word, base64.StdEncoding.EncodeToString(accept[:]))
	return conn, buffered.Reader, nil
}

// readAhead is a connection of which something was read already.
type readAhead struct {
	net.Conn
	from *bufio.Reader
}

func (c readAhead) Read(p []byte) (int, error) { return c.from.Read(p) }

// handedOver is a listener for connections that are there already.
type handedOver struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *handedOver) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *handedOver) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *handedOver) Addr() net.Addr { return &net.TCPAddr{} }

// digger opens tunnels over HTTP/1.1.
type digger struct {
	*testing.T
	conn net.Conn
	from *bufio.Reader
}

// dig sends a request with these header lines, and reads the answer's head.
func dig(t *testing.T, address, line string, headers ...string) (d digger, status int) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(conn) })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", line, address, strings.Join(headers, "\r\n"))
	d = digger{t, conn, bufio.NewReader(conn)}
	resp, err := http.ReadResponse(d.from, nil)
	if err != nil {
		t.Fatalf("%s %v: %v", line, headers, err)
	}
	return d, resp.StatusCode
}

// ask sends a request of HTTP/2 through the tunnel.
func (d digger) ask(path string) {
	h2 := &http.Transport{Protocols: new(http.Protocols), DialContext: func(context.Context, string, string) (net.Conn, error) {
		return readAhead{d.conn, d.from}, nil
	}}
	h2.Protocols.SetUnencryptedHTTP2(true)
	req, err := http.NewRequest(http.MethodGet, "http://inside.example"+path, nil)
	if err != nil {
		d.Fatal(err)
	}
	req.Header.Set("X-User-Id", "mallory")
	if resp, err := h2.RoundTrip(req); err == nil {
		closeAll(resp.Body)
	}
}

// echoes reports whether what is sent through the tunnel comes back.
func (d digger) echoes() bool {
	const text = "a frame"
	fmt.Fprint(d.conn, text)
	back := make([]byte, len(text))
	_, err := io.ReadFull(d.from, back)
	return err == nil && string(back) == text
}
