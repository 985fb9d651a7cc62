package caddyoauth

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

// statuses is the place of an issuer's status lists, of one bit for each token.
type statuses struct {
	*httptest.Server

	mu    sync.Mutex
	key   *jwssign.Key
	bits  byte // of the first eight tokens; 1 is taken back
	down  bool
	asked int
}

func newStatuses(t *testing.T, key *jwssign.Key) *statuses {
	t.Helper()
	s := &statuses{key: key}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *statuses) change(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *statuses) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked++; s.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write([]byte{s.bits})
	_ = z.Close()
	list, err := s.key.Token("statuslist+jwt", map[string]any{
		"sub": s.URL + r.URL.Path, "iat": time.Now().Unix(), "ttl": 1, "status_list": map[string]any{"bits": 1, "lst": base64.RawURLEncoding.EncodeToString(b.Bytes())},
	})
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/statuslist+jwt")
	_, _ = w.Write([]byte(list))
}

// token is one with a place in a list.
func (s *statuses) token(issuer *grantor, index int, more ...map[string]any) string {
	return issuer.access("alice", append(more, map[string]any{"jti": fmt.Sprint(index), "status": map[string]any{"status_list": map[string]any{"idx": index, "uri": s.URL + "/lists/1"}}})...)
}

func listedGate(t *testing.T, issuer *grantor, origin string) *gate {
	t.Helper()
	return rawGate(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\nstatus_lists %s\nclient gateway the-gateways-own-secret\n}\n%s\n}", issuer.URL, origin, publicEndpoint), &issuer.clock)
}

func TestATokenThatItsIssuersStatusListTakesBackIsRefused(t *testing.T) {
	issuer := newGrantor(t, nil)
	lists := newStatuses(t, issuer.key)
	lists.bits = 0b10
	g := listedGate(t, issuer, lists.URL)
	for range 2 { // the second is remembered
		g.expects(lists.token(issuer, 0), http.StatusOK)
		res := g.expects(lists.token(issuer, 1), http.StatusUnauthorized)
		if challenge := res.Header().Get("WWW-Authenticate"); !strings.Contains(challenge, `error="invalid_token"`) || !strings.Contains(challenge, "revoked or suspended") {
			t.Errorf("the challenge is %s", challenge)
		}
	}
	g.expects(issuer.access("alice"), http.StatusOK) // it names no list
	g.expects(issuer.access("alice", map[string]any{"status": "active"}), http.StatusUnauthorized)
	g.expects(issuer.access("alice", map[string]any{"status": map[string]any{"status_list": map[string]any{"idx": 1, "uri": "https://other.example/"}}}), http.StatusServiceUnavailable)
	if log := g.logged(); !strings.Contains(log, `"reason":"token_status"`) || !strings.Contains(log, "it was revoked") || !strings.Contains(log, `"reason":"status_unavailable"`) || !strings.Contains(log, "that status_lists does not name") {
		t.Error(log)
	}
	if lists.change(func() {}); lists.asked != 1 {
		t.Errorf("asked %d times", lists.asked)
	}
	plain := rawGate(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\n}\n}", issuer.URL), &issuer.clock)
	plain.expects(lists.token(issuer, 1), http.StatusOK) // nobody has asked for it
}

// A remembered token, too, is refused once the list takes it back.
func TestATokenThatIsTakenBackWhileItIsInUseIsRefusedWithTheNextList(t *testing.T) {
	issuer := newGrantor(t, nil)
	lists := newStatuses(t, issuer.key)
	g := listedGate(t, issuer, lists.URL)
	tok := lists.token(issuer, 3)
	g.expects(tok, http.StatusOK)
	lists.change(func() { lists.bits = 0b1000 })
	await(t, "the next list", func() bool {
		return g.send(http.MethodGet, "/orders", "", "Authorization", "Bearer "+tok).Code == http.StatusUnauthorized
	})
	g.expects(lists.token(issuer, 2), http.StatusOK)
}

func TestWithoutItsStatusListATokenCannotBeJudged(t *testing.T) {
	issuer := newGrantor(t, nil)
	lists := newStatuses(t, issuer.key)
	lists.down = true
	g := listedGate(t, issuer, lists.URL)
	res := g.expects(lists.token(issuer, 0), http.StatusServiceUnavailable)
	if res.Header().Get("Retry-After") == "" || res.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%v", res.Header())
	}
	g.expects(issuer.access("alice"), http.StatusOK)
	lists.change(func() { lists.down = false })
	await(t, "the list", func() bool {
		return g.send(http.MethodGet, "/orders", "", "Authorization", "Bearer "+lists.token(issuer, 0)).Code == http.StatusOK
	})
	// Another key's list is none.
	other := newStatuses(t, newGrantor(t, nil).key)
	g = listedGate(t, issuer, other.URL)
	other.key = benchKey(t, "ES256")
	g.expects(other.token(issuer, 0), http.StatusServiceUnavailable)
}

// The reference token of a grant whose access token was taken back is renewed
// first, as when the issuer calls one inactive: the new one has a place of its own.
func TestAGrantWhoseAccessTokenIsTakenBackGoesOnWithTheNextOne(t *testing.T) {
	const life = time.Hour // nothing is renewed for its age here
	issuer := newGrantor(t, nil)
	lists := newStatuses(t, issuer.key)
	var granted atomic.Int32
	issuer.reply(func(w http.ResponseWriter, _ *asked) {
		n := int(granted.Add(1)) - 1
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d,"refresh_token":"refresh-%d"}`, lists.token(issuer, n), int(life.Seconds()), n)
	})
	g := listedGate(t, issuer, lists.URL)
	tok := g.answer(g.post("/auth", codeForm))
	g.wants(map[string]int{tok.AccessToken: http.StatusOK})
	lists.change(func() { lists.bits = 0b1 })
	await(t, "the next access token", func() bool {
		status, _ := g.get(tok.AccessToken)
		return status == http.StatusOK && granted.Load() == 2
	})
}

func TestExplainTellsWhatTheStatusListSays(t *testing.T) {
	issuer := newGrantor(t, nil)
	lists := newStatuses(t, issuer.key)
	lists.bits = 0b10
	f := explainFlags{config: configFile(t, fmt.Sprintf("http://api.example {\noauth {\nissuer %s {\naudience api\nstatus_lists %s\n}\n}\n}\n", issuer.URL, lists.URL)), adapter: "caddyfile", at: time.Now().UTC().Format(time.RFC3339)}
	for index, lines := range [][]string{
		{"ACCEPTED", "ok   status ", fmt.Sprintf("idx 0 of %q", lists.URL+"/lists/1"), "ok   status list      idx 0 is valid"},
		{"REFUSED token_status: status list (Token Status List §8.3)", "answer   401 invalid_token", "change   Its issuer took it back."},
	} {
		_, out, err := explained(t, f, lists.token(issuer, index))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if !strings.Contains(out, line) {
				t.Errorf("no %q in\n%s", line, out)
			}
		}
	}
}
