package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tap stands in front of an authorization server. The server believes that the
// tap's address is its own, so that all that it says of itself leads here. The
// tap counts what passes, and treats token requests as badly as it is told to.
type tap struct {
	url     string
	server  *httptest.Server
	secrets *secrets
	proxy   *httputil.ReverseProxy
	client  *http.Client

	mu      sync.Mutex
	target  string // where the real server listens
	treat   func(c call) treatment
	calls   []*call
	issued  []issued
	changed chan struct{} // closed and replaced with each change above
}

// call is one request that the gateway made at the token, the revocation or
// the device authorization endpoint.
type call struct {
	Path     string // as the server calls it: /token
	Grant    string
	Client   string
	RT       string // digest of the refresh token presented
	MadeUp   bool   // the gateway made it up, to see whether the server answers
	Token    string // digest of the token to revoke
	Begin    time.Time
	End      time.Time // zero while it is open
	Answered bool      // the real server has answered; perhaps only the tap knows
	Status   int       // as the gateway got it; 0 for no answer or half of one
	Error    string    // as the gateway got it
	NewRT    string    // digest of the refresh token that the real server issued
	Fate     fate
}

// madeUp is how the gateway spells a refresh token that was never granted, which it
// presents before it leaves a failing endpoint alone. None of the server's is
// spelled so.
var madeUp = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// fate is what the one who presented a refresh token may know of it.
type fate string

const (
	fateOpen    fate = "open"
	fateKept    fate = "kept"    // definitely not consumed
	fateRotated fate = "rotated" // there is a new one
	fateRefused fate = "refused"
	fateUnknown fate = "unknown"
)

// issued is an access token that the real server gave out through the tap.
type issued struct {
	token  string
	expiry time.Time
	grant  string
}

func startTap(t *testing.T, s *secrets) *tap {
	t.Helper()
	tp := &tap{
		secrets: s,
		changed: make(chan struct{}),
		client:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute},
	}
	tp.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			target, _ := url.Parse(tp.realServer())
			r.SetURL(target)
			r.Out.Host = r.In.Host // what the server derives its own address from
		},
	}
	tp.server = httptest.NewServer(tp)
	tp.url = tp.server.URL
	t.Cleanup(func() {
		tp.server.CloseClientConnections()
		tp.server.Close()
	})
	return tp
}

func (tp *tap) realServer() string {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.target
}

func (tp *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || (r.URL.Path != "/token" && r.URL.Path != "/token/revocation" && r.URL.Path != "/device/auth") {
		tp.proxy.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	c := tp.arrive(r, string(body))
	// The client may be gone before it gets an answer.
	gone := context.AfterFunc(r.Context(), func() { tp.end(c, 0, fateUnknown, "") })
	defer gone()
	tp.mu.Lock()
	how := treatment{}
	if tp.treat != nil && c.Path == "/token" {
		how = tp.treat(*c)
	}
	tp.mu.Unlock()
	tp.serve(w, r, c, string(body), how)
}

// arrive notes a request and all the secrets in it.
func (tp *tap) arrive(r *http.Request, body string) *call {
	form, _ := url.ParseQuery(body)
	id, secret, basic := r.BasicAuth()
	if basic {
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
		_, pair, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		tp.secrets.add(kindClientSecret, pair)
	} else {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	if len(secret) >= shortest { // what a test makes up to be refused may be shorter
		tp.secrets.add(kindClientSecret, secret)
	}
	tp.secrets.add(kindAssertion, form.Get("client_assertion"))
	c := &call{
		Path: r.URL.Path, Grant: form.Get("grant_type"), Client: id, Begin: time.Now(), Fate: fateOpen,
		RT: digest(form.Get("refresh_token")), Token: digest(form.Get("token")),
		MadeUp: madeUp.MatchString(form.Get("refresh_token")),
	}
	tp.change(func() { tp.calls = append(tp.calls, c) })
	return c
}

func (tp *tap) change(do func()) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	do()
	close(tp.changed)
	tp.changed = make(chan struct{})
}

// end notes the end of a call, once.
func (tp *tap) end(c *call, status int, f fate, code string) {
	tp.change(func() {
		if c.End.IsZero() {
			c.End, c.Status, c.Fate, c.Error = time.Now(), status, f, code
		}
	})
}

// await waits until ok says true of all calls so far; ok is asked again
// whenever something changed, and not otherwise.
func (tp *tap) await(t *testing.T, limit time.Duration, what string, ok func(all calls) bool) calls {
	t.Helper()
	timer := time.NewTimer(4 * limit) // as await has it
	defer timer.Stop()
	for {
		tp.mu.Lock()
		all, changed := tp.snapshot(), tp.changed
		tp.mu.Unlock()
		if ok(all) {
			return all
		}
		select {
		case <-changed:
		case <-timer.C:
			t.Fatalf("waited %v in vain for %s; the tap saw %v", 4*limit, what, all)
		}
	}
}

// setTreatment decides how token requests are treated from now on; nil is well.
func (tp *tap) setTreatment(decide func(c call) treatment) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.treat = decide
}

// always treats every token request alike.
func (tp *tap) always(how treatment) { tp.setTreatment(func(call) treatment { return how }) }

// once treats the next token request like this, and those after it well.
func (tp *tap) once(how treatment) {
	first := true
	tp.setTreatment(func(call) treatment {
		if !first {
			return treatment{}
		}
		first = false
		return how
	})
}

func (tp *tap) well() { tp.setTreatment(nil) }

// snapshot is called with the lock held.
func (tp *tap) snapshot() calls {
	all := make(calls, len(tp.calls))
	for i, c := range tp.calls {
		all[i] = *c
	}
	return all
}

func (tp *tap) all() calls {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.snapshot()
}

// calls are looked at, never changed.
type calls []call

func (all calls) keep(fits func(c call) bool) (kept calls) {
	for _, c := range all {
		if fits(c) {
			kept = append(kept, c)
		}
	}
	return kept
}

func (all calls) at(path string) calls { return all.keep(func(c call) bool { return c.Path == path }) }

func (all calls) of(grant string) calls {
	return all.keep(func(c call) bool { return c.Path == "/token" && c.Grant == grant && !c.MadeUp })
}

// answered are those that the real server has answered, known to whom it may be.
func (all calls) answered() calls { return all.keep(func(c call) bool { return c.Answered }) }

func (all calls) ended() calls { return all.keep(func(c call) bool { return !c.End.IsZero() }) }

func (c call) String() string {
	return fmt.Sprintf("{%s %s of %q rt=%.6s %s %d %s}", c.Path, c.Grant, c.Client, c.RT, c.Fate, c.Status, c.Error)
}

func (tp *tap) allIssued() []issued {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return slices.Clone(tp.issued)
}

// lastIssued is the newest access token.
func (tp *tap) lastIssued(t *testing.T) issued {
	t.Helper()
	tp.mu.Lock()
	defer tp.mu.Unlock()
	if len(tp.issued) == 0 {
		t.Fatal("no access token was issued yet")
	}
	return tp.issued[len(tp.issued)-1]
}
