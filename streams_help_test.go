package caddyoauth

import (
	"bufio"
	"context"
	"encoding/binary"
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

// talker is an upstream whose answers do not end.
type talker struct {
	*httptest.Server
	mu   sync.Mutex
	open map[string]int // exchanges, by path
	conn []net.Conn     // WebSockets
}

func newTalker(t *testing.T) *talker {
	up := &talker{open: map[string]int{}}
	up.Server = httptest.NewUnstartedServer(up)
	up.Config.Protocols = new(http.Protocols)
	up.Config.Protocols.SetHTTP1(true)
	up.Config.Protocols.SetUnencryptedHTTP2(true)
	up.Start()
	t.Cleanup(func() {
		up.CloseClientConnections()
		for _, conn := range up.conn {
			_ = conn.Close()
		}
		up.Close()
	})
	return up
}

// at counts the exchanges that are open at a path.
func (up *talker) at(path string) int { up.mu.Lock(); defer up.mu.Unlock(); return up.open[path] }

func (up *talker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	up.mu.Lock()
	up.open[r.URL.Path]++
	up.mu.Unlock()
	defer func() { up.mu.Lock(); defer up.mu.Unlock(); up.open[r.URL.Path]-- }()
	switch r.URL.Path {
	case "/ws":
		up.webSocket(w)
	case "/orders":
		return
	case "/poll":
		<-r.Context().Done()
	case "/call":
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = io.WriteString(w, "\x00\x00\x00\x00\x00")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		w.Header().Set("Grpc-Status", "0")
	default: // /events, /body
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: first\n\n")
		_ = http.NewResponseController(w).Flush()
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
			if r.URL.Path == "/body" {
				_, _ = io.WriteString(w, "data: next\n\n")
			}
		}
	}
}

// webSocket sends half a frame, and the rest of what it gets behind it.
func (up *talker) webSocket(w http.ResponseWriter) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	up.mu.Lock()
	up.conn = append(up.conn, conn)
	up.mu.Unlock()
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	_, _ = io.Copy(conn, buffered.Reader)
}

// street is a Caddy in this process with a gateway in front of a talker.
type street struct {
	*deployment
	up   *talker
	more string // words of the directive
	cut  string // words of reverse_proxy

	issuerWords string // of the issuer's block
	require     string // more words of the directive; @ws is the WebSocket
}

func newStreet(t *testing.T, more string) *street {
	s := &street{deployment: newDeployment(t), up: newTalker(t), more: more}
	s.open()
	return s
}

// open loads the configuration, or loads it again.
func (s *street) open() {
	s.Helper()
	text := s.config("")
	text = strings.Replace(text, "auto_https off", "auto_https off\nservers {\nprotocols h1 h2c\n}", 1)
	text = strings.Replace(text, "oauth {", "@ws path /ws\noauth {", 1)
	text = strings.Replace(text, "revocation_endpoint /revoke", "revocation_endpoint /revoke\ngrant_types client_credentials refresh_token authorization_code\npublic_clients app", 1)
	text = strings.Replace(text, "audience api", "audience api\nskew 1s\n"+s.issuerWords, 1)
	text = strings.Replace(text, "token_endpoint /auth", s.more+"\n"+s.require+"\ntoken_endpoint /auth", 1)
	text = strings.Replace(text, `respond "hello {http.auth.user.id} {http.auth.user.jti}"`,
		fmt.Sprintf("@call path /call\nreverse_proxy @call h2c://%s\nreverse_proxy %[1]s {\n%s\n}", s.up.Listener.Addr(), s.cut), 1)
	load(s.T, text)
}

// speaking is a client of one version of HTTP.
func (s *street) speaking(major int) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(major == 1)
	transport.Protocols.SetUnencryptedHTTP2(major == 2)
	s.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// begin sends a request, and answers what comes back: a status, or the error of one
// that got none.
func (s *street) begin(major int, method, path, token string, headers ...string) chan *answered {
	s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, s.url()+path, http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for n := 0; n < len(headers); n += 2 {
		r.Header.Add(headers[n], headers[n+1])
	}
	done := make(chan *answered, 1)
	go func() {
		a := new(answered)
		res, err := s.speaking(major).Do(r)
		if a.err = err; err == nil {
			a.Response = res
			a.first = make([]byte, 5)
			_, _ = io.ReadFull(res.Body, a.first)
			a.rest = make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, res.Body)
				a.rest <- err
			}()
		}
		done <- a
	}()
	return done
}

// answered is an answer that has begun.
type answered struct {
	*http.Response
	first []byte
	rest  chan error // how it ends
	err   error
}

const soonEnough = 10 * time.Second

// soon takes what has to come.
func soon[T any](t testing.TB, what string, from chan T) (one T) {
	t.Helper()
	select {
	case one = <-from:
	case <-time.After(soonEnough):
		t.Fatal("waited in vain for ", what)
	}
	return one
}

// webSocket is a client's.
type webSocket struct {
	t    *testing.T
	conn net.Conn
	from *bufio.Reader
}

func (s *street) webSocket(headers ...string) *webSocket {
	s.Helper()
	conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", s.port))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * soonEnough))
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s\r\n\r\n", s.port, strings.Join(headers, "\r\n"))
	ws := &webSocket{t: s.T, conn: conn, from: bufio.NewReader(conn)}
	res, err := http.ReadResponse(ws.from, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		s.Fatalf("no WebSocket: %v %v\n%s", res, err, s.log())
	}
	return ws
}

// echo sends bytes, which come back as they are.
func (ws *webSocket) echo(bytes string) {
	ws.t.Helper()
	back := make([]byte, len(bytes))
	if _, err := io.WriteString(ws.conn, bytes); err != nil {
		ws.t.Fatal(err)
	}
	if _, err := io.ReadFull(ws.from, back); err != nil || string(back) != bytes {
		ws.t.Fatalf("got back %q: %v", back, err)
	}
}

// closed waits for the end, and answers the code of the frame that says it, 0 for none.
func (ws *webSocket) closed() (code int, text string) {
	ws.t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(ws.from, head); errors.Is(err, io.EOF) {
		return 0, ""
	} else if err != nil {
		ws.t.Fatal(err)
	}
	payload := make([]byte, head[1])
	if _, err := io.ReadFull(ws.from, payload); err != nil || head[0] != 0x88 || len(payload) < 2 {
		ws.t.Fatalf("% x % x: %v", head, payload, err)
	}
	if rest, err := io.ReadAll(ws.from); err != nil || len(rest) > 0 {
		ws.t.Errorf("behind the last frame: % x, %v", rest, err)
	}
	return int(binary.BigEndian.Uint16(payload)), string(payload[2:])
}
