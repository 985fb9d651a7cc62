package streams

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// dress puts between the proxy and the client what the exchange's kind needs.
func (x *exchange) dress(w http.ResponseWriter) http.ResponseWriter {
	under := caddyhttp.ResponseWriterWrapper{ResponseWriter: w}
	switch {
	case x.kind == grpc:
		return &grpcWriter{ResponseWriterWrapper: under, x: x}
	case x.major == 1:
		return &switcher{ResponseWriterWrapper: under, x: x}
	}
	control := http.NewResponseController(w)
	t := &stream{ResponseWriterWrapper: under, framed: framed{raw: x.kind == raw}}
	t.write = func(frame []byte) error {
		_ = http.NewResponseController(serverOf(w)).SetWriteDeadline(time.Now().Add(cutAfter))
		_, err := w.Write(frame)
		return errors.Join(err, control.Flush())
	}
	t.wake = func() { _ = control.SetReadDeadline(past) }
	x.tunnel = &t.framed
	return t
}

// switcher is the way back of a request that may turn its connection into something
// else.
type switcher struct {
	caddyhttp.ResponseWriterWrapper
	x *exchange
}

// Flush is for handlers that look for an http.Flusher.
func (s *switcher) Flush() { _ = s.FlushError() }

// FlushError is what http.ResponseController looks for.
func (s *switcher) FlushError() error { return http.NewResponseController(s.ResponseWriter).Flush() }

// Hijack hands the connection over, with us in between.
func (s *switcher) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(s.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	c := &tunnelled{Conn: conn, framed: framed{raw: s.x.kind == raw}}
	c.write = func(frame []byte) error {
		_ = conn.SetWriteDeadline(time.Now().Add(cutAfter))
		_, err := conn.Write(frame)
		return err
	}
	c.wake = func() { _ = conn.SetReadDeadline(past) }
	c.cut = func() { _ = conn.Close() }
	c.open.Store(true)
	s.x.mu.Lock()
	defer s.x.mu.Unlock()
	s.x.tunnel = &c.framed
	if s.x.over.Load() { // while the upstream made up its mind
		_ = conn.Close()
		return nil, nil, errEnded
	}
	return c, buffered, nil
}

// tunnelled is a connection that was handed over.
type tunnelled struct {
	net.Conn
	framed
	reading sync.Mutex // Caddy counts what is read, and two who read count at once
}

// Read is the client's word to the upstream.
func (c *tunnelled) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	return c.Conn.Read(p)
}

// Write is the upstream's word to the client.
func (c *tunnelled) Write(p []byte) (int, error) { return c.pass(p, c.Conn) }

// CloseWrite says that the upstream has no more to say. One that cannot be told ends
// the tunnel, as it does without us.
func (c *tunnelled) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close closes the connection. A client that was told why gets the time to read that:
// with something of its own unread, the connection would be reset.
func (c *tunnelled) Close() error {
	if c.told() { // so whoever was reading has been woken
		_ = c.CloseWrite()
		c.reading.Lock()
		defer c.reading.Unlock()
		_ = c.Conn.SetReadDeadline(time.Now().Add(cutAfter))
		_, _ = io.Copy(io.Discard, c.Conn)
	}
	return c.Conn.Close()
}

// stream is a WebSocket in a stream of HTTP/2 or HTTP/3 (RFC 8441, RFC 9220).
type stream struct {
	caddyhttp.ResponseWriterWrapper
	framed
}

// WriteHeader opens it.
func (t *stream) WriteHeader(status int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ResponseWriterWrapper.WriteHeader(status)
	t.framed.open.Store(t.framed.open.Load() || status == http.StatusOK)
}

// Write is the upstream's word to the client.
func (t *stream) Write(p []byte) (int, error) {
	if !t.isOpen() {
		return t.ResponseWriterWrapper.Write(p)
	}
	return t.pass(p, &t.ResponseWriterWrapper)
}

// ReadFrom does not go past Write.
func (t *stream) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{t}, r) }

// Flush is for handlers that look for an http.Flusher.
func (t *stream) Flush() { _ = t.FlushError() }

// FlushError is what http.ResponseController looks for.
func (t *stream) FlushError() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return errEnded
	}
	return http.NewResponseController(t.ResponseWriter).Flush()
}

// Interface guards
var (
	_ http.Flusher  = (*switcher)(nil)
	_ http.Hijacker = (*switcher)(nil)
	_ http.Flusher  = (*stream)(nil)
	_ io.ReaderFrom = (*stream)(nil)
)
