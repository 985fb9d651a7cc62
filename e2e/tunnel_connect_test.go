package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// connected is what was opened over HTTP/2 or HTTP/3 by extended CONNECT (RFC 8441,
// 9220), and the way to and fro where the status is 200.
type connected struct {
	status string
	io.Reader
	io.Writer
}

// echo is what comes back of what is sent.
func (c *connected) echo(sent string) string {
	if c.status != "200" {
		return ""
	}
	go func() { _, _ = io.WriteString(c, sent) }()
	back := make([]byte, len(sent))
	_, _ = io.ReadFull(c, back)
	return string(back)
}

type connects func(t *testing.T, trust *tls.Config, port int, path, protocol, token string) *connected

var overEach = map[string]connects{"HTTP 2": connectH2, "HTTP 3": connectH3}

// Over HTTP/2 and HTTP/3 a WebSocket is a CONNECT, and GET at the upstream.
func TestOverHTTP2AndHTTP3AWebSocketIsJudgedAsOverHTTP1AndNothingElseIsConnected(t *testing.T) {
	t.Parallel()
	f, up := startFakeIssuer(t), startSwitcher(t)
	g := newGateway(t)
	g.env = []string{"GODEBUG=http2xconnect=1"} // without it Caddy has no WebSockets over HTTP/2
	g.serve(fmt.Sprintf(`
http://127.0.0.1:%d {
	respond 204
}
https://localhost:%d {
	tls internal
	@get {
		method GET
		path /get
	}
	@write not method GET HEAD OPTIONS
	oauth %s %s {
		copy_claims sub>X-User-Id
		require @get scope get
		require @write scope write
	}
	reverse_proxy %s
}
`, g.port, g.tlsPort, f.url, audience, up.address()))
	trust := g.trust()
	token := f.token(nil)
	for name, connect := range overEach {
		t.Run(name, func(t *testing.T) {
			ws := connect(t, trust, g.tlsPort, "/page", "websocket", token)
			if echo := ws.echo(frame); ws.status != "200" || echo != frame {
				t.Errorf("a WebSocket: %s %q", ws.status, echo)
			}
			before := len(up.seen())
			for _, row := range []struct{ path, protocol, token, want string }{
				{"/page", "connect-udp", token, "400"},
				{"/page", "WebSocket", token, "400"},
				{"/page", "h2c", token, "400"},
				{"/page", "websocket", "none", "401"},
				{"/get", "websocket", token, "403"}, // not past a rule about what the upstream will see
			} {
				if got := connect(t, trust, g.tlsPort, row.path, row.protocol, row.token); got.status != row.want {
					t.Errorf("%+v: %s", row, got.status)
				}
			}
			if got := up.seen()[before:]; len(got) > 0 {
				t.Errorf("the upstream saw %q", got)
			}
		})
	}
}

// One that is open is closed as over HTTP/1.1, by a frame that says why.
func TestOverHTTP2AndHTTP3AWebSocketIsClosedByAFrameWhenItsTokenIsTakenBack(t *testing.T) {
	t.Parallel()
	f, up := startFakeIssuer(t), startSwitcher(t)
	g := newGateway(t)
	g.env = []string{"GODEBUG=http2xconnect=1"}
	g.serve(fmt.Sprintf(`
http://127.0.0.1:%d {
	respond 204
}
https://localhost:%d {
	tls internal
	oauth %s %s
	reverse_proxy %s
}
`, g.port, g.tlsPort, f.url, audience, up.address()))
	trust := g.trust()
	for name, connect := range overEach {
		t.Run(name, func(t *testing.T) {
			const whole = "\x82\x01x"
			ws := connect(t, trust, g.tlsPort, "/page", "websocket", f.token(map[string]any{"jti": name}))
			if echo := ws.echo(whole); echo != whole {
				t.Fatalf("%s %q", ws.status, echo)
			}
			entry := fmt.Sprintf(`{"issuer": %q, "jti": %q}`, f.url, name)
			resp, err := http.Post("http://"+g.admin+"/oauth/revocations", "application/json", strings.NewReader(entry))
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatal(resp, err)
			}
			closeAll(resp.Body)
			if rest, _ := io.ReadAll(ws); !strings.HasPrefix(string(rest), "\x88") || !strings.Contains(string(rest), "\x03\xf0") {
				t.Errorf("it ends with %q", rest)
			}
		})
	}
}

const frame = "a frame"

func connectH3(t *testing.T, trust *tls.Config, port int, path, protocol, token string) *connected {
	t.Helper()
	h3 := &http3.Transport{TLSClientConfig: trust.Clone()}
	t.Cleanup(func() { closeAll(h3) })
	from, to := io.Pipe()
	t.Cleanup(func() { closeAll(to) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	req := (&http.Request{
		Method: http.MethodConnect, Proto: protocol, Host: fmt.Sprint("localhost:", port), Body: from, ContentLength: -1,
		URL:    &url.URL{Scheme: "https", Host: fmt.Sprint("localhost:", port), Path: path},
		Header: http.Header{"Authorization": {"Bearer " + token}, "Sec-Websocket-Version": {"13"}},
	}).WithContext(ctx)
	resp, err := h3.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(resp.Body) })
	return &connected{fmt.Sprint(resp.StatusCode), resp.Body, to}
}

// connectH2 does it by hand: Go's client does so only where the environment
// of this process says so.
func connectH2(t *testing.T, trust *tls.Config, port int, path, protocol, token string) *connected {
	t.Helper()
	trust = trust.Clone()
	trust.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", fmt.Sprint("localhost:", port), trust)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(conn) })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	var head bytes.Buffer
	encode := hpack.NewEncoder(&head)
	for _, field := range [][2]string{
		{":method", "CONNECT"}, {":scheme", "https"}, {":authority", fmt.Sprint("localhost:", port)}, {":path", path},
		{":protocol", protocol}, {"authorization", "Bearer " + token}, {"sec-websocket-version", "13"},
	} {
		_ = encode.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	status := make(chan string, 1)
	from, to := io.Pipe()
	t.Cleanup(func() { closeAll(from) })
	go readFrames(framer, status, to)
	return &connected{<-status, from, toStream{framer}}
}

// readFrames hands on what comes over the one stream, until it ends.
func readFrames(framer *http2.Framer, status chan<- string, to *io.PipeWriter) {
	defer closeAll(to)
	defer close(status)
	for {
		got, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch got := got.(type) {
		case *http2.SettingsFrame:
			if !got.IsAck() {
				_ = framer.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			select {
			case status <- got.PseudoValue("status"):
			default: // trailers
			}
			if got.StreamEnded() {
				return
			}
		case *http2.DataFrame:
			_, _ = to.Write(got.Data())
			if got.StreamEnded() {
				return
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return
		}
	}
}

type toStream struct{ framer *http2.Framer }

func (s toStream) Write(b []byte) (int, error) { return len(b), s.framer.WriteData(1, false, b) }
