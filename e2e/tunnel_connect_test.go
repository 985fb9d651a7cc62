package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// connects opens something over HTTP/2 or HTTP/3 by extended CONNECT (RFC 8441,
// 9220), and answers the status and what comes back of what is sent through it.
type connects func(t *testing.T, trust *tls.Config, port int, path, protocol, token string) (status string, echo string)

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
	for name, connect := range map[string]connects{"HTTP 2": connectH2, "HTTP 3": connectH3} {
		t.Run(name, func(t *testing.T) {
			if status, echo := connect(t, trust, g.tlsPort, "/page", "websocket", token); status != "200" || echo != frame {
				t.Errorf("a WebSocket: %s %q", status, echo)
			}
			before := len(up.seen())
			for _, row := range []struct{ path, protocol, token, want string }{
				{"/page", "connect-udp", token, "400"},
				{"/page", "WebSocket", token, "400"},
				{"/page", "h2c", token, "400"},
				{"/page", "websocket", "none", "401"},
				{"/get", "websocket", token, "403"}, // not past a rule about what the upstream will see
			} {
				if status, _ := connect(t, trust, g.tlsPort, row.path, row.protocol, row.token); status != row.want {
					t.Errorf("%+v: %s", row, status)
				}
			}
			if got := up.seen()[before:]; len(got) > 0 {
				t.Errorf("the upstream saw %q", got)
			}
		})
	}
}

const frame = "a frame"

func connectH3(t *testing.T, trust *tls.Config, port int, path, protocol, token string) (status, echo string) {
	t.Helper()
	h3 := &http3.Transport{TLSClientConfig: trust.Clone()}
	defer closeAll(h3)
	from, to := io.Pipe()
	defer closeAll(to)
	req := &http.Request{
		Method: http.MethodConnect, Proto: protocol, Host: fmt.Sprint("localhost:", port), Body: from, ContentLength: -1,
		URL:    &url.URL{Scheme: "https", Host: fmt.Sprint("localhost:", port), Path: path},
		Header: http.Header{"Authorization": {"Bearer " + token}, "Sec-Websocket-Version": {"13"}},
	}
	resp, err := h3.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(resp.Body)
	if resp.StatusCode == http.StatusOK {
		go func() { _, _ = io.WriteString(to, frame) }()
		back := make([]byte, len(frame))
		_, _ = io.ReadFull(resp.Body, back)
		echo = string(back)
	}
	return fmt.Sprint(resp.StatusCode), echo
}

// connectH2 does it by hand: Go's client does so only where the environment
// of this process says so.
func connectH2(t *testing.T, trust *tls.Config, port int, path, protocol, token string) (status, echo string) {
	t.Helper()
	trust = trust.Clone()
	trust.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", fmt.Sprint("localhost:", port), trust)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(conn)
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
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
	for status != "200" || len(echo) < len(frame) {
		got, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("after %s %q: %v", status, echo, err)
		}
		switch got := got.(type) {
		case *http2.SettingsFrame:
			if !got.IsAck() {
				_ = framer.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			if status = got.PseudoValue("status"); status != "200" {
				return status, ""
			}
			_ = framer.WriteData(1, false, []byte(frame))
		case *http2.DataFrame:
			echo += string(got.Data())
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			t.Fatalf("after %s %q: %v", status, echo, got)
		}
	}
	return status, echo
}
