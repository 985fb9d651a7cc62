package caddyoauth

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// listening serves a gateway and what is behind it on a real connection.
func listening(t *testing.T, g *Gateway, upstream caddyhttp.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, raw *http.Request) {
		r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), w, new(caddyhttp.Server))
		if err := g.ServeHTTP(w, r, upstream); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// What is streamed to a session arrives while it is written, in each of the ways
// in which handlers do it.
func TestAStreamToASessionArrivesWhileItIsWritten(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser().logIn()
	for name, flush := range map[string]func(http.ResponseWriter) error{
		"by the controller": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"by a Flusher":      func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
	} {
		goOn := make(chan struct{})
		address := listening(t, s.Gateway, func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/event-stream")
			for n := range 3 {
				if _, err := fmt.Fprintf(w, "data: %d\n\n", n); err != nil {
					return err
				}
				if err := flush(w); err != nil {
					return err
				}
				<-goOn // until the client has it
			}
			return nil
		})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", "__Host-oauth="+b.cookies["__Host-oauth"])
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("Cache-Control"); got != "private" {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
		lines := bufio.NewReader(res.Body)
		for n := range 3 {
			if line, err := lines.ReadString('\n'); line != fmt.Sprintf("data: %d\n", n) || err != nil {
				t.Errorf("%s: %q %v", name, line, err)
			}
			_, _ = lines.ReadString('\n')
			goOn <- struct{}{}
		}
		_ = res.Body.Close()
	}
}

// A WebSocket is a connection that a handler takes over, in either way.
func TestASocketOfASessionIsHandedOver(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser().logIn()
	for name, hijack := range map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"by the controller": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
		"by a Hijacker": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
	} {
		address := listening(t, s.Gateway, func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Set-Cookie", "__Host-oauth=x")
			w.WriteHeader(http.StatusSwitchingProtocols)
			conn, both, err := hijack(w)
			if err != nil {
				return err
			}
			defer conn.Close()
			line, err := both.ReadString('\n')
			if err != nil {
				return err
			}
			_, err = io.WriteString(conn, "echo "+line)
			return err
		})
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://%s\r\nCookie: __Host-oauth=%s\r\n\r\n",
			address, address, b.cookies["__Host-oauth"]); err != nil {
			t.Fatal(err)
		}
		from := bufio.NewReader(conn)
		res, err := http.ReadResponse(from, nil) //nolint:bodyclose // a socket has none
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Set-Cookie") != "" {
			t.Fatalf("%s: %v %v; log: %s", name, res, err, s.logged())
		}
		if _, err := io.WriteString(conn, "hello\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := from.ReadString('\n'); line != "echo hello\n" || err != nil {
			t.Errorf("%s: %q %v", name, line, err)
		}
		_ = conn.Close()
	}
}
