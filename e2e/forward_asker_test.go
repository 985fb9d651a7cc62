package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// asker is one proxy in front with everything behind it.
type asker struct {
	*testing.T
	front
	url     string
	issuer  *fakeIssuer
	down    *fakeIssuer
	up      *upstream
	judge   *gateway
	writing string // a token that may write
	reading string // one that may read
}

// behindEachProxy runs a test with each of the proxies that can be installed.
func behindEachProxy(t *testing.T, test func(a *asker)) {
	t.Helper()
	t.Parallel()
	for _, f := range fronts {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			a := &asker{T: t, front: f, issuer: startFakeIssuer(t), down: newFakeIssuer(t), up: startUpstream(t)}
			a.judge = startJudge(t, f.statuses, a.issuer, a.down)
			a.url = f.start(t, strings.TrimPrefix(a.judge.url(""), "http://"), a.up.address())
			a.reading = a.issuer.token(map[string]any{"email": nil})
			a.writing = a.issuer.token(map[string]any{"scope": "orders:read orders:write"})
			test(a)
		})
	}
}

// malformed is the status of a malformed request: 400 where the proxy can.
func (a *asker) malformed() int {
	if a.statuses {
		return http.StatusUnauthorized
	}
	return http.StatusBadRequest
}

// do sends a request with a token and more headers, names and values.
func (a *asker) do(method, path, token string, headers ...string) answer {
	a.Helper()
	req, err := http.NewRequest(method, a.url+path, bytes.NewReader(nil))
	if method != http.MethodGet && method != http.MethodHead {
		req, err = http.NewRequest(method, a.url+path, strings.NewReader("a body"))
	}
	if err != nil {
		a.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header[headers[i]] = append(req.Header[headers[i]], headers[i+1])
	}
	got, err := send(plainClient, req)
	if err != nil {
		a.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

// refused checks the status, and that there is this one challenge.
func (a *asker) refused(what string, got answer, status int, challenge string) {
	a.Helper()
	all := got.header.Values("Www-Authenticate")
	if got.status != status || len(all) != 1 || all[0] != challenge {
		a.Errorf("%s: %d %q, want %d %q; body %q", what, got.status, all, status, challenge, got.body)
	}
}

// raw sends a request line and a Host as they are, with a token, and answers
// the status.
func (a *asker) raw(line, host string) int {
	a.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(a.url, "http://"))
	if err != nil {
		a.Fatal(err)
	}
	defer closeAll(conn)
	fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n", line, host, a.reading)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		a.Fatal(err)
	}
	closeAll(resp.Body)
	return resp.StatusCode
}

const (
	badToken   = `Bearer error="invalid_token", error_description="the access token is not valid"`
	noScope    = `Bearer error="insufficient_scope", error_description="the access token lacks scope", scope="%s"`
	malformed  = `Bearer error="invalid_request", error_description="exactly one access token is expected"`
	oddPath    = `Bearer error="invalid_request", error_description="the path can be read in more than one way"`
	noQuestion = `Bearer error="invalid_request", error_description="the proxy in front does not say which request this is about"`
)
