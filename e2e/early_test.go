package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// onTheWay is a client's socket that the test holds: what comes is kept back
// until enough was sent, and from then on nothing more goes out. So the server
// has requests in early data, and never the end of the handshake.
type onTheWay struct {
	net.PacketConn
	mu      sync.Mutex
	sent    int
	enough  int           // bytes; 0: nothing is held
	reached chan struct{} // closed when they were sent
}

func (c *onTheWay) WriteTo(p []byte, to net.Addr) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.enough > 0 {
		if c.sent >= c.enough {
			return len(p), nil // lost
		}
		if c.sent += len(p); c.sent >= c.enough {
			close(c.reached)
		}
	}
	return c.PacketConn.WriteTo(p, to)
}

func (c *onTheWay) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.PacketConn.ReadFrom(p)
	if c.enough > 0 {
		<-c.reached
	}
	return n, from, err
}

// ticketed tells when there is a ticket to resume with.
type ticketed struct {
	tls.ClientSessionCache
	once sync.Once
	got  chan struct{}
}

func (c *ticketed) Put(key string, state *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, state)
	if state != nil {
		c.once.Do(func() { close(c.got) })
	}
}

// earlyAsker sends requests in the early data of a connection of HTTP/3.
type earlyAsker struct {
	*testing.T
	port  int
	trust *tls.Config
}

// dial opens a connection; enough as in onTheWay. Without it the handshake is
// waited for.
func (a *earlyAsker) dial(ctx context.Context, enough int) (*quic.Conn, *http3.ClientConn) {
	a.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		a.Fatal(err)
	}
	way := &onTheWay{PacketConn: socket, enough: enough, reached: make(chan struct{})}
	a.Cleanup(func() { closeAll(socket) })
	conn, err := quic.DialEarly(ctx, way, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: a.port}, a.trust, &quic.Config{})
	if err != nil {
		a.Fatal(err)
	}
	a.Cleanup(func() { _ = conn.CloseWithError(0, "") })
	if enough == 0 {
		<-conn.HandshakeComplete() // before any stream: quic-go has a data race there
	}
	return conn, (&http3.Transport{}).NewClientConn(conn)
}

// ask sends one request, and answers what came back.
func (a *earlyAsker) ask(early bool, method, path, token string) answer {
	a.Helper()
	ctx, cancel := context.WithTimeout(a.Context(), 20*time.Second)
	defer cancel()
	const filler = 3000
	enough := 0
	if early {
		enough = 1200 + filler // the first packet of a connection is of 1200 bytes
	}
	conn, h3 := a.dial(ctx, enough)
	stream := a.open(ctx, h3, method, path, token, "")
	if early { // what makes sure that the request is on its way
		a.open(ctx, h3, http.MethodPost, "/.well-known/oauth-protected-resource", "", strings.Repeat("~", 2*filler))
	}
	resp, err := stream.ReadResponse()
	if err != nil {
		a.Fatalf("%s %s: %v", method, path, err)
	}
	if early && !conn.ConnectionState().Used0RTT {
		a.Fatalf("%s %s: the server did not take early data", method, path)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
}

// open sends a request without a body, in a stream of its own.
func (a *earlyAsker) open(ctx context.Context, h3 *http3.ClientConn, method, path, token, pad string) *http3.RequestStream {
	a.Helper()
	stream, err := h3.OpenRequestStream(ctx)
	if err != nil {
		a.Fatal(err)
	}
	_ = stream.SetDeadline(time.Now().Add(20 * time.Second))
	req, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("https://localhost:%d%s", a.port, path), nil)
	if err != nil {
		a.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("X-Pad", pad)
	if err := errors.Join(stream.SendRequestHeader(req), stream.Close()); err != nil {
		a.Fatal(err)
	}
	return stream
}

// An attacker on the way can send early data again (RFC 8470).
func TestInEarlyDataOfHTTP3NothingIsDoneThatMustNotBeDoneTwice(t *testing.T) {
	t.Parallel()
	f, up := startFakeIssuer(t), startUpstream(t)
	g := newGateway(t)
	g.serve(fmt.Sprintf(`
http://127.0.0.1:%d {
	respond 204
}
https://localhost:%d {
	tls internal
	oauth {
		issuer %s {
			audience %s
		}
		token_endpoint /token
		copy_claims sub>X-User-Id
		resource https://localhost:%d/
	}
	reverse_proxy %s
}
`, g.port, g.tlsPort, f.url, audience, g.tlsPort, up.address()))
	cache := &ticketed{ClientSessionCache: tls.NewLRUClientSessionCache(8), got: make(chan struct{})}
	a := &earlyAsker{T: t, port: g.tlsPort, trust: g.trust()}
	a.trust.MinVersion, a.trust.NextProtos, a.trust.ClientSessionCache = tls.VersionTLS13, []string{http3.NextProtoH3}, cache
	token := f.token(map[string]any{"aud": []string{audience, fmt.Sprintf("https://localhost:%d/", g.tlsPort)}})
	if got := a.ask(false, http.MethodPost, "/orders", token); got.status != http.StatusOK {
		t.Fatalf("after the handshake: %d %s", got.status, got.body)
	}
	<-cache.got
	before := up.requests.Load()
	for _, row := range []struct{ method, path string }{
		{http.MethodPost, "/token"}, {http.MethodPost, "/orders"}, {http.MethodDelete, "/orders"}, {http.MethodPost, "/.well-known/oauth-protected-resource"},
	} {
		if got := a.ask(true, row.method, row.path, token); got.status != http.StatusTooEarly {
			t.Errorf("%s %s in early data: %d %s", row.method, row.path, got.status, got.body)
		}
	}
	if n := up.requests.Load(); n != before {
		t.Errorf("%d requests in early data reached the upstream", n-before)
	}
	if got := a.ask(true, http.MethodGet, "/orders", token); got.status != http.StatusOK || got.seen(t).Header.Get("Early-Data") != "1" {
		t.Errorf("GET in early data: %d %s", got.status, got.body)
	}
	if got := a.ask(false, http.MethodPost, "/token", token); got.status == http.StatusTooEarly {
		t.Error("after the handshake it is still too early")
	}
}
