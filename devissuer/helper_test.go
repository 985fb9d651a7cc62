package devissuer_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/caddyoauth/caddyoauth/devissuer"
)

const audience = "https://api.example.com"

// clock is a clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// running is a server behind a real listener.
type running struct {
	*devissuer.Server
	t      *testing.T
	issuer string
	clock  *clock
}

// start runs a server whose issuer is the listener's address and the path.
func start(t *testing.T, path string, change func(*devissuer.Options)) *running {
	t.Helper()
	listener := httptest.NewUnstartedServer(nil)
	c := &clock{now: time.Unix(1_800_000_000, 0)}
	opts := devissuer.Options{
		Issuer:   "http://" + listener.Listener.Addr().String() + path,
		Audience: []string{audience},
		Clients: []devissuer.Client{
			{ID: "demo", Secret: "demo-secret", Scopes: []string{"read", "write"}},
			{ID: "other", Secret: "other-secret", Scopes: []string{"read"}},
		},
		Lifetime:     15 * time.Second,
		TokenPaths:   []string{"/auth", "/refresh"},
		DefaultGrant: "client_credentials",
		Now:          c.Now,
	}
	if change != nil {
		change(&opts)
	}
	s, err := devissuer.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	listener.Config.Handler = s
	listener.Start()
	t.Cleanup(listener.Close)
	return &running{Server: s, t: t, issuer: opts.Issuer, clock: c}
}

// at is the URL of a path on the issuer's host.
func (r *running) at(path string) string {
	r.t.Helper()
	u, err := url.Parse(r.issuer)
	if err != nil {
		r.t.Fatal(err)
	}
	return u.Scheme + "://" + u.Host + path
}

// answer is a response with its JSON body, if it has one.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) text(name string) string {
	s, _ := a.body[name].(string)
	return s
}

func (r *running) do(req *http.Request) answer {
	r.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header}
	_ = json.Unmarshal(text, &a.body) // not every answer is JSON; the test sees it missing
	return a
}

func (r *running) get(url string) answer {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.do(req)
}

// post sends a form, as it stands, to a path.
func (r *running) post(path, form string) answer {
	r.t.Helper()
	return r.do(r.request(path, form))
}

func (r *running) request(path, form string) *http.Request {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.at(path), strings.NewReader(form))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

const credentials = "client_id=demo&client_secret=demo-secret"

// verified are the header and the claims of a token that the published keys
// prove. The proof is a library's, not ours.
func (r *running) verified(token string) (header, claims map[string]any) {
	r.t.Helper()
	payload, err := r.verify(token)
	if err != nil {
		r.t.Fatalf("the published keys do not prove %q: %v", token, err)
	}
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &header); err != nil {
		r.t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		r.t.Fatal(err)
	}
	return header, claims
}

func (r *running) verify(token string) ([]byte, error) {
	r.t.Helper()
	resp, err := http.Get(r.issuer + "/jwks")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	set, err := jwk.ParseReader(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return jws.Verify([]byte(token), jws.WithKeySet(set))
}

// wantError checks an error answer of RFC 6749 §5.2.
func wantError(t *testing.T, a answer, status int, code string) {
	t.Helper()
	if a.status != status || a.text("error") != code {
		t.Errorf("got %d %v, want %d %s", a.status, a.body, status, code)
	}
	if a.text("error_description") == "" {
		t.Error("the error has no description")
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Error("the error may be cached")
	}
}
