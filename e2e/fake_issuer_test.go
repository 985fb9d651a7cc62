package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeIssuer is the slow, lying, dying issuer: it signs real tokens, and
// answers the gateway as badly as the test tells it to.
type fakeIssuer struct {
	t   *testing.T
	url string

	mu      sync.Mutex
	server  *http.Server // nil while it is down
	keys    []signKey    // the first one signs
	maxAge  int          // seconds, for Cache-Control
	behave  func(w http.ResponseWriter, r *http.Request) (done bool)
	says    map[string]any          // more of the discovery document
	more    map[string]http.Handler // what else there is, by its path
	fetches []time.Time             // of the key set
	reads   int                     // of the discovery document
}

// newFakeIssuer knows its address but is down until start is called.
func newFakeIssuer(t *testing.T) *fakeIssuer {
	t.Helper()
	f := &fakeIssuer{
		t:      t,
		url:    fmt.Sprintf("http://127.0.0.1:%d", freePort(t)),
		keys:   []signKey{newSignKey(t)},
		maxAge: 3600,
	}
	t.Cleanup(f.stop)
	return f
}

func startFakeIssuer(t *testing.T) *fakeIssuer {
	t.Helper()
	f := newFakeIssuer(t)
	f.start()
	return f
}

func (f *fakeIssuer) start() {
	f.t.Helper()
	var listener net.Listener
	await(f.t, 5*time.Second, "the port of the fake issuer", func() (free bool) {
		var err error
		listener, err = net.Listen("tcp", strings.TrimPrefix(f.url, "http://"))
		return err == nil // a child that is being started may have it for a moment
	})
	server := &http.Server{Handler: f}
	f.mu.Lock()
	f.server = server
	f.mu.Unlock()
	go func() { _ = server.Serve(listener) }() // ends when it is closed
}

func (f *fakeIssuer) stop() {
	f.mu.Lock()
	server := f.server
	f.server = nil
	f.mu.Unlock()
	if server != nil {
		closeAll(server)
	}
}

func (f *fakeIssuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	behave, maxAge := f.behave, f.maxAge
	var document map[string]any
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration":
		f.reads++
		document = map[string]any{"issuer": f.url, "jwks_uri": f.url + "/jwks", "token_endpoint": f.url + "/token"}
		maps.Copy(document, f.says)
	case "/jwks":
		f.fetches = append(f.fetches, time.Now())
		set := []any{}
		for _, key := range f.keys {
			set = append(set, key.jwk())
		}
		document = map[string]any{"keys": set}
	}
	f.mu.Unlock()
	more := f.more[r.URL.Path]
	switch {
	case document == nil && more == nil:
		http.NotFound(w, r)
		return
	case behave != nil && behave(w, r):
		return
	case more != nil:
		more.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", fmt.Sprintf("max-age=%d", maxAge))
	_ = json.NewEncoder(w).Encode(document)
}

// setBehaviour changes how requests are answered from now on; nil is well.
func (f *fakeIssuer) setBehaviour(behave func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.behave = behave
}

// slow answers well, but late.
func slow(delay time.Duration) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
		}
		return false
	}
}

// hanging never answers.
func hanging(_ http.ResponseWriter, r *http.Request) bool {
	<-r.Context().Done()
	return true
}

// answering gives this answer to every request for the key set.
func answering(status int, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/jwks" {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

// setKeys replaces the published set; the first key signs.
func (f *fakeIssuer) setKeys(keys ...signKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = keys
}

func (f *fakeIssuer) key() signKey {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys[0]
}

// token is a good one, with claims changed by changes.
func (f *fakeIssuer) token(changes map[string]any) string {
	return f.key().sign(goodClaims(f.url, changes), nil)
}

// unknownKid is a token that names a key that the issuer has never published.
func (f *fakeIssuer) unknownKid(other signKey) string {
	return other.sign(goodClaims(f.url, nil), map[string]any{"kid": rand.Text()})
}

// badSignature is a fresh token under a known kid that another key signed.
func (f *fakeIssuer) badSignature(other signKey) string {
	return other.sign(goodClaims(f.url, nil), map[string]any{"kid": f.key().kid})
}

// keyFetches counts the requests for the key set.
func (f *fakeIssuer) keyFetches() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.fetches)
}

// requests counts everything the gateway asked for.
func (f *fakeIssuer) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.fetches) + f.reads
}

// fetchFloor is how often unknown keys may make the gateway ask, at most.
const fetchFloor = 5 * time.Second

// awaitFloor waits until the floor since the last key fetch has passed, so
// that the next unknown key may cause one.
func (f *fakeIssuer) awaitFloor() {
	f.t.Helper()
	await(f.t, 2*fetchFloor, "the floor between two key fetches to pass", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.fetches) == 0 || time.Since(f.fetches[len(f.fetches)-1]) > fetchFloor+200*time.Millisecond
	})
}
