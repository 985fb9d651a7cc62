package as

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Secrets that no error may show.
const (
	oldRT = "rt-old-4f9d"
	newRT = "rt-new-c01a"
	newAT = "at-new-77e2"
)

// rawServer is a token endpoint down to the socket. It reads each request whole and
// then does what a test says with the connection.
type rawServer struct {
	url string

	mu    sync.Mutex
	asked []*http.Request
	forms []url.Values
}

func serveRaw(t *testing.T, do func(net.Conn)) *rawServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &rawServer{url: "http://" + listener.Addr().String() + "/token"}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				if l.read(conn) {
					do(conn)
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		open.Wait()
	})
	return l
}

func (l *rawServer) read(conn net.Conn) bool {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return false
	}
	text, err := io.ReadAll(req.Body)
	form, bad := url.ParseQuery(string(text))
	if err != nil || bad != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.forms = append(l.asked, req), append(l.forms, form)
	return true
}

func (l *rawServer) times() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.asked)
}

// say writes an answer as it is and ends the connection.
func say(raw string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = io.WriteString(conn, raw) }
}

// whole is a well-formed answer.
func whole(status int, body string, header ...string) string {
	return announced(status, len(body), body, header...)
}

// announced is an answer with a Content-Length of its own.
func announced(status, length int, body string, header ...string) string {
	head := fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", status, length)
	for _, line := range header {
		head += line + "\r\n"
	}
	return head + "\r\n" + body
}

func reset(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }

// asking is a server whose metadata name endpoint for everything, and the
// authentication methods.
func asking(t *testing.T, endpoint string, methods ...string) *Server {
	t.Helper()
	var w *wire
	w = servePlain(t, map[string]http.HandlerFunc{"/.well-known/oauth-authorization-server": func(rw http.ResponseWriter, _ *http.Request) {
		listed := `"` + strings.Join(methods, `","`) + `"`
		if len(methods) == 0 {
			listed = ""
		}
		fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q,"token_endpoint":%q,"revocation_endpoint":%q,"device_authorization_endpoint":%q,
			"introspection_endpoint":%q,"token_endpoint_auth_methods_supported":[%s]}`, w.URL, w.URL+"/keys", endpoint, endpoint, endpoint, endpoint, listed)
	}})
	return dial(t, w)
}

// failure is err as what every call fails with, after a look that it shows no
// secret.
func failure(t *testing.T, err error) *CallError {
	t.Helper()
	failed, ok := errors.AsType[*CallError](err)
	if !ok {
		t.Fatalf("error %v is no *CallError", err)
	}
	for _, shown := range []string{err.Error(), fmt.Sprintf("%+v", *failed), fmt.Sprintf("%#v", failed), fmt.Sprintf("%#v", failed.Err)} {
		for _, hidden := range []string{oldRT, newRT, newAT} {
			if strings.Contains(shown, hidden) {
				t.Errorf("%s is shown by %s", hidden, shown)
			}
		}
	}
	return failed
}

var refreshing = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {oldRT}}

var public = Client{ID: "app"}
