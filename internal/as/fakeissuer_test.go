package as

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

const (
	issuerURL = "https://login.example.com/tenant"
	keysURL   = "https://login.example.com/keys"
	formRFC   = "https://login.example.com/.well-known/oauth-authorization-server/tenant"
	formIn    = "https://login.example.com/.well-known/openid-configuration/tenant"
	formEnd   = "https://login.example.com/tenant/.well-known/openid-configuration"
)

// Keys that the fake issuer publishes. Each test decides which.
var keyA, keyB, keyC = newKey("a"), newKey("b"), newKey("c")

var publishedA = jwssign.Set(keyA)

func newKey(kid string) *jwssign.Key {
	key, err := jwssign.Generate(kid, "EdDSA")
	if err != nil {
		panic(err)
	}
	return key
}

// An answer is what the fake issuer does with one request.
type answer func(*http.Request) (*http.Response, error)

func reply(status int, body string, header ...string) answer {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Add(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

// serve is a 200 with the keys.
func serve(keys ...*jwssign.Key) answer { return reply(200, string(jwssign.Set(keys...))) }

func metadata(issuer, jwks string) answer {
	return reply(200, `{"issuer":"`+issuer+`","jwks_uri":"`+jwks+`"}`)
}

func refuse(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }

// hang never answers, as a server that takes connections and then says nothing.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func slow(d time.Duration, then answer) answer {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return then(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

// fakeIssuer is an authorization server without a network. What it has no
// answer for is 404.
type fakeIssuer struct {
	mu      sync.Mutex
	born    time.Time
	answers map[string]answer
	asked   []request
	running map[string]int
	most    int // requests to one address at a time
}

type request struct {
	url string
	at  time.Duration // since the issuer was made
}

// newIssuer has metadata where RFC 8414 wants them, and key a.
func newIssuer() *fakeIssuer {
	return &fakeIssuer{born: time.Now(), running: map[string]int{}, answers: map[string]answer{
		formRFC: metadata(issuerURL, keysURL),
		keysURL: serve(keyA),
	}}
}

func (f *fakeIssuer) RoundTrip(r *http.Request) (*http.Response, error) {
	url := r.URL.String()
	f.mu.Lock()
	f.asked = append(f.asked, request{url, time.Since(f.born)})
	f.running[url]++
	f.most = max(f.most, f.running[url])
	answer := f.answers[url]
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.running[url]--
		f.mu.Unlock()
	}()
	if answer == nil {
		answer = reply(404, "not here")
	}
	return answer(r)
}

// busy is how many requests are under way.
func (f *fakeIssuer) busy() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, running := range f.running {
		n += running
	}
	return n
}

func (f *fakeIssuer) set(url string, a answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[url] = a
}

// down makes every address that is known do the same.
func (f *fakeIssuer) down(a answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, url := range slices.Collect(maps.Keys(f.answers)) {
		f.answers[url] = a
	}
}

func (f *fakeIssuer) up(keys ...*jwssign.Key) {
	f.set(formRFC, metadata(issuerURL, keysURL))
	f.set(keysURL, serve(keys...))
}

// times tells when url was asked, all of them when url is "".
func (f *fakeIssuer) times(url string) (at []time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.asked {
		if url == "" || r.url == url {
			at = append(at, r.at)
		}
	}
	return at
}

// urls are the addresses asked, in order, and forgets them.
func (f *fakeIssuer) urls() (urls []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.asked {
		urls = append(urls, r.url)
	}
	f.asked = nil
	return urls
}

// newServer is one that is not started, closed when the test ends.
func newServer(t testing.TB, transport http.RoundTripper, options ...func(*Config)) *Server {
	cfg := Config{
		Issuer:    issuerURL,
		Now:       time.Now,
		Jitter:    func() float64 { return 0.5 },
		Transport: transport,
	}
	for _, option := range options {
		option(&cfg)
	}
	s := New(cfg)
	t.Cleanup(s.Close)
	return s
}

// ready is a server whose first fetch has succeeded, in a bubble.
func ready(t *testing.T, transport http.RoundTripper, options ...func(*Config)) (*Server, *token.KeySet) {
	t.Helper()
	s := newServer(t, transport, options...)
	set, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal("the first fetch:", err)
	}
	synctest.Wait() // callers go on before its event is told
	return s, set
}

// prove verifies a fresh token of key against what source has, and answers the
// public key that it was proven with.
func prove(t testing.TB, source token.KeySource, key *jwssign.Key) (*token.Key, error) {
	t.Helper()
	text, err := key.Token("at+jwt", map[string]any{"iss": issuerURL, "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := token.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	algorithms, err := token.ParseAlgorithms(nil)
	if err != nil {
		t.Fatal(err)
	}
	profile := &token.Profile{Issuer: issuerURL, Algorithms: algorithms, Keys: source}
	facts, err := profile.Verify(context.Background(), parsed, time.Now())
	if err != nil {
		return nil, err
	}
	return facts.Key, nil
}

// has reports whether a token of key passes with exactly this set.
func has(t testing.TB, set *token.KeySet, key *jwssign.Key) bool {
	t.Helper()
	if set == nil {
		return false
	}
	_, err := prove(t, set, key)
	return err == nil
}

func isUnavailable(err error) bool {
	_, ok := errors.AsType[*Unavailable](err)
	return ok
}

// record gathers the events of a server.
type record struct {
	mu     sync.Mutex
	events []Event
}

func (r *record) observe(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// of are the events about op so far.
func (r *record) of(op string) (events []Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Op == op {
			events = append(events, e)
		}
	}
	return events
}
