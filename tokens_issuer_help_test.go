package caddyoauth

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// asked is one request that the grantor got.
type asked struct {
	Path         string
	ID, Password string // of the Basic header, decoded
	Sent         string // the password of the Basic header as it came
	Basic        bool
	Form         url.Values
	Accept       string
}

// grantor is an authorization server made by hand. It notes what it is asked,
// and answers what a test tells it to; by default it grants.
type grantor struct {
	*httptest.Server
	key      *jwssign.Key
	clock    clock
	metadata map[string]any

	mu     sync.Mutex
	all    []asked
	answer func(w http.ResponseWriter, q *asked)
	serial atomic.Int64

	user func(w http.ResponseWriter, r *http.Request) // the userinfo endpoint
}

// clock is the real time and what a test adds to it.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// newGrantor starts a grantor. change may alter its metadata.
func newGrantor(tb testing.TB, change func(metadata map[string]any)) *grantor {
	tb.Helper()
	i := &grantor{key: benchKey(tb, "EdDSA")}
	i.Server = newServer(i)
	tb.Cleanup(i.Close)
	i.metadata = map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/jwks", "token_endpoint": i.URL + "/token",
		"revocation_endpoint": i.URL + "/revoke", "device_authorization_endpoint": i.URL + "/device", "introspection_endpoint": i.URL + "/introspect",
	}
	if change != nil {
		change(i.metadata)
	}
	return i
}

var (
	serversMu sync.Mutex
	servers   = map[string]bool{} // the addresses of all that there were
)

// newServer has an address that no server of these tests had before: metrics are
// counted by the issuer's, and nothing takes them back.
func newServer(handler http.Handler) *httptest.Server {
	serversMu.Lock()
	defer serversMu.Unlock()
	for {
		server := httptest.NewServer(handler)
		if !servers[server.URL] {
			servers[server.URL] = true
			return server
		}
		defer server.Close() // not before another one is found
	}
}

func (i *grantor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		_ = json.NewEncoder(w).Encode(i.metadata)
		return
	case "/jwks":
		_, _ = w.Write(jwssign.Set(i.key))
		return
	case "/userinfo":
		i.user(w, r)
		return
	}
	text, _ := io.ReadAll(r.Body)
	form, err := url.ParseQuery(string(text))
	if err != nil || r.URL.RawQuery != "" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		http.Error(w, "not a form", http.StatusTeapot)
		return
	}
	q := asked{Path: r.URL.Path, Form: form, Accept: r.Header.Get("Accept")}
	if q.ID, q.Password, q.Basic = r.BasicAuth(); q.Basic {
		q.Sent = q.Password
		q.ID, _ = url.QueryUnescape(q.ID)
		q.Password, _ = url.QueryUnescape(q.Password)
	}
	i.mu.Lock()
	i.all = append(i.all, q)
	answer := i.answer
	i.mu.Unlock()
	if answer == nil {
		answer = i.grant
	}
	answer(w, &q)
}

// reply sets what is answered from now on; nil: grant.
func (i *grantor) reply(answer func(w http.ResponseWriter, q *asked)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = answer
}

// says answers a status and a body from now on. headers are names and values.
func (i *grantor) says(status int, body string, headers ...string) {
	i.reply(func(w http.ResponseWriter, _ *asked) {
		for n := 0; n < len(headers); n += 2 {
			w.Header().Set(headers[n], headers[n+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// take answers what was asked since the last time, and forgets it.
func (i *grantor) take() []asked {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := i.all
	i.all = nil
	return all
}

func (i *grantor) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.all)
}

// client is who asked, by whatever method.
func (q *asked) client() string {
	if q.Basic {
		return q.ID
	}
	return q.Form.Get("client_id")
}

// accessLife is how long the grantor's access tokens live.
const accessLife = 300 * time.Second

// grant is a good answer of each endpoint.
func (i *grantor) grant(w http.ResponseWriter, q *asked) {
	switch q.Path {
	case "/device":
		_, _ = io.WriteString(w, `{"device_code":"the-device-code","user_code":"WDJB-MJHT","verification_uri":"https://example.com/device","expires_in":600}`)
		return
	case "/revoke":
		return
	}
	subject := q.client()
	answer := map[string]any{"token_type": "Bearer", "expires_in": int(accessLife.Seconds())}
	if q.Form.Get("grant_type") != tokenrequest.ClientCredentials {
		subject = "alice"
		answer["refresh_token"] = fmt.Sprintf("refresh-token-of-the-issuer-%d", i.serial.Add(1))
	}
	if scope := q.Form.Get("scope"); scope != "" {
		answer["scope"] = scope
	}
	answer["access_token"] = i.access(subject)
	_ = json.NewEncoder(w).Encode(answer)
}

// access signs an access token; no two are the same.
func (i *grantor) access(subject string, more ...map[string]any) string {
	claims := map[string]any{
		"iss": i.URL, "aud": "api", "sub": subject, "jti": fmt.Sprint("jti-", i.serial.Add(1)),
		"exp": i.clock.now().Add(accessLife).Unix(),
	}
	for _, each := range more {
		maps.Copy(claims, each)
	}
	tok, err := i.key.Token("at+jwt", claims)
	if err != nil {
		panic(err)
	}
	return tok
}

// idToken is signed by no issuer: the gateway only passes it on.
func (i *grantor) idToken(tb testing.TB, subject string) string {
	tb.Helper()
	tok, err := i.key.Token("JWT", map[string]any{"iss": i.URL, "aud": "gateway", "sub": subject})
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

// only are the names of the form's parameters, sorted.
func (q *asked) only() string {
	var names []string
	for name := range q.Form {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
