package signals

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

const (
	theIssuer = "https://login.example.com"
	revokedBy = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	changed   = "https://schemas.openid.net/secevent/caep/event-type/token-claims-change"
	verified  = "https://schemas.openid.net/secevent/ssf/event-type/verification"
	disabled  = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
)

// transmitter is one as SSF 1.0 has it, with one stream.
type transmitter struct {
	*httptest.Server
	tb  testing.TB
	key *jwssign.Key

	mu       sync.Mutex
	access   string // that is taken
	streams  []map[string]any
	waiting  map[string]string // jti → SET
	news     chan struct{}     // closed when there is something to poll
	acked    []string
	errs     map[string]any
	verifies int
	down     bool
	critical []string
	mute     bool // no verification comes
	quick    bool // answers are never held back
	polls    int
	status   string
	managed  []managed
}

// managed is a request that changes a stream.
type managed struct {
	what string
	body []byte
}

func newTransmitter(tb testing.TB) *transmitter {
	key, err := jwssign.Generate("t-1", "ES256")
	if err != nil {
		tb.Fatal(err)
	}
	t := &transmitter{tb: tb, key: key, access: "stream-token", status: "enabled", waiting: map[string]string{}, news: make(chan struct{}), errs: map[string]any{}}
	t.Server = httptest.NewServer(t)
	tb.Cleanup(t.Close)
	t.streams = []map[string]any{{
		"stream_id": "stream-1", "iss": t.URL, "aud": []string{"https://api.example.com"}, "events_delivered": []string{revokedBy},
		"delivery": map[string]any{"method": methodPoll, "endpoint_url": t.URL + "/poll"},
	}}
	return t
}

func (t *transmitter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	t.mu.Lock()
	down, access := t.down, t.access
	t.mu.Unlock()
	switch {
	case down:
		answer(http.StatusServiceUnavailable, nil)
		return
	case r.URL.Path == "/.well-known/ssf-configuration":
		t.mu.Lock()
		defer t.mu.Unlock()
		answer(http.StatusOK, map[string]any{
			"issuer": t.URL, "jwks_uri": t.URL + "/keys", "configuration_endpoint": t.URL + "/streams", "status_endpoint": t.URL + "/status",
			"verification_endpoint": t.URL + "/verify", "critical_subject_members": t.critical,
		})
		return
	case r.URL.Path == "/keys":
		_, _ = w.Write(jwssign.Set(t.key))
		return
	case r.Header.Get("Authorization") != "Bearer "+access:
		answer(http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	switch r.URL.Path {
	case "/status", "/streams":
		t.mu.Lock()
		defer t.mu.Unlock()
		if r.Method != http.MethodGet {
			body, _ := io.ReadAll(r.Body)
			t.managed = append(t.managed, managed{r.Method + " " + r.URL.String(), body})
			answer(http.StatusOK, map[string]string{})
			return
		}
		if r.URL.Path == "/status" {
			answer(http.StatusOK, map[string]string{"stream_id": "stream-1", "status": t.status})
			return
		}
		answer(http.StatusOK, t.streams)
	case "/verify":
		t.mu.Lock()
		t.verifies++
		mute := t.mute
		t.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
		if !mute {
			t.tell(t.set("", `{"format": "opaque", "id": "stream-1"}`, verified, `{}`, nil))
		}
	case "/poll":
		t.servePoll(r, answer)
	default:
		answer(http.StatusNotFound, nil)
	}
}

func (t *transmitter) servePoll(r *http.Request, answer func(int, any)) {
	var asked struct {
		Ack               []string       `json:"ack"`
		Errs              map[string]any `json:"setErrs"`
		ReturnImmediately bool           `json:"returnImmediately"`
		MaxEvents         int            `json:"maxEvents"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.MaxEvents < 1 {
		answer(http.StatusBadRequest, map[string]string{"err": "invalid_request"})
		return
	}
	t.mu.Lock()
	t.polls++
	for _, id := range asked.Ack {
		delete(t.waiting, id)
		t.acked = append(t.acked, id)
	}
	for id, why := range asked.Errs {
		delete(t.waiting, id)
		t.errs[id] = why
	}
	if len(t.waiting) == 0 && !asked.ReturnImmediately && !t.quick {
		news := t.news
		t.mu.Unlock()
		select {
		case <-news:
		case <-r.Context().Done():
			return
		case <-time.After(2 * time.Second):
		}
		t.mu.Lock()
	}
	sets := map[string]string{}
	for id, set := range t.waiting {
		sets[id] = set
	}
	t.mu.Unlock()
	answer(http.StatusOK, map[string]any{"sets": sets})
}

var sets struct {
	sync.Mutex
	n int
}

// set makes a Security Event Token.
func (t *transmitter) set(id, subject, event, members string, edits map[string]any) (jti, raw string) {
	if id == "" {
		sets.Lock()
		sets.n++
		id = fmt.Sprintf("set-%d", sets.n)
		sets.Unlock()
	}
	claims := map[string]any{
		"iss": t.URL, "aud": "https://api.example.com", "iat": time.Now().Unix(), "jti": id,
		"sub_id": json.RawMessage(subject), "events": map[string]any{event: json.RawMessage(members)},
	}
	for name, value := range edits {
		claims[name] = value
	}
	raw, err := t.key.Token("secevent+jwt", claims)
	if err != nil {
		t.tb.Error(err)
	}
	return id, raw
}

// tell has an event wait to be polled.
func (t *transmitter) tell(id, raw string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting[id] = raw
	close(t.news)
	t.news = make(chan struct{})
}

// site is a gateway that notes what it is told to take back.
type site struct {
	mu      sync.Mutex
	entries []revoked.Entry
	ended   []revoked.Entry
	fails   error
}

func (s *site) attach(r *Receiver) func() {
	return r.Attach(&Site{Log: zap.NewNop(), TakeBack: func(_ context.Context, e revoked.Entry) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.fails == nil {
			s.entries = append(s.entries, e)
		}
		return s.fails
	}, End: func(_ context.Context, e revoked.Entry) (int, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = append(s.ended, e)
		return 1, nil
	}})
}

func (s *site) taken() (entries, ended []revoked.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]revoked.Entry{}, s.entries...), append([]revoked.Entry{}, s.ended...)
}

// receive opens a receiver of the transmitter's events; it is started by the test.
func (t *transmitter) receive(tb testing.TB, block Signals) (*Receiver, *site) {
	tb.Helper()
	if block.Audience == nil {
		block.Audience = []string{"https://api.example.com"}
	}
	if err := block.Check(false); err != nil {
		tb.Fatal(err)
	}
	algorithms, err := token.ParseAlgorithms(nil)
	if err != nil {
		tb.Fatal(err)
	}
	r, release := block.Open(Resolved{URL: t.URL, Audience: block.Audience, Token: secretOf(block.Token), Header: secretOf(block.AuthorizationHeader), Stream: block.Stream}, Settings{
		Issuer: theIssuer, Names: []string{theIssuer, "urn:tokens"}, Algorithms: algorithms, Skew: 30 * time.Second,
		Config: as.Config{Now: time.Now, Jitter: func() float64 { return 0 }}, Mark: tb.Name(),
	})
	tb.Cleanup(release)
	s := new(site)
	tb.Cleanup(s.attach(r))
	return r, s
}

// memory is what two nodes have in common.
type memory struct {
	mu    sync.Mutex
	known map[string]bool
}

func (m *memory) key(parts []string) string { return fmt.Sprintf("%q", parts) }

func (m *memory) Happened(_ context.Context, parts ...string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[m.key(parts)], nil
}

func (m *memory) Once(_ context.Context, _ time.Time, parts ...string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := !m.known[m.key(parts)]
	m.known[m.key(parts)] = true
	return first, nil
}

func (m *memory) Forget(_ context.Context, parts ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, m.key(parts))
	return nil
}

// granting is the access of a client whose issuer grants these, one after the other.
func granting(next func() string) access {
	return access{client: &as.Client{ID: "gateway"}, grant: func(context.Context, as.Client, map[string][]string) (*as.Tokens, error) {
		life := time.Hour
		return &as.Tokens{AccessToken: secret.New(next()), ExpiresIn: &life}, nil
	}}
}
