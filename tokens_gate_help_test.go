package caddyoauth

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	logtest "go.uber.org/zap/zaptest/observer"

	"github.com/caddyoauth/caddyoauth/internal/credential"
)

// tokenAnswer is an answer of RFC 6749 §5.1.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
}

// gate is a gateway with a token endpoint in front of an upstream that notes
// what it gets, at the level of handlers.
type gate struct {
	testing.TB
	*Gateway
	server  *caddyhttp.Server
	logs    *logtest.ObservedLogs
	clock   *clock
	address string // of the client
	mu      sync.Mutex
	saw     []*http.Request
}

// addresses gives each gate one of its own: failures are counted by address,
// for the whole process.
var addresses atomic.Uint32

func nextAddress() string {
	n := addresses.Add(1)
	return fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)
}

// endpoint is the usual token_endpoint of these tests.
const endpoint = `token_endpoint /auth /refresh {
	revocation_endpoint /revoke
}`

// newGate provisions a gateway with the grantor as its issuer and the gateway's
// own client there. block is the rest of the oauth block.
func newGate(tb testing.TB, issuer *grantor, block string) *gate {
	tb.Helper()
	return rawGate(tb, fmt.Sprintf(`oauth {
		issuer %s {
			audience api
			client gateway the-gateways-own-secret
		}
		%s
	}`, issuer.URL, block), &issuer.clock)
}

func rawGate(tb testing.TB, directive string, c *clock) *gate {
	tb.Helper()
	if !strings.Contains(directive, "session {") {
		directive = strings.TrimSpace(directive)
		directive = strings.TrimSuffix(directive, "}") + "session {\nstore memory\n}\n}"
	}
	server, handlers := adaptSite(tb, directive)
	if len(handlers) != 1 {
		tb.Fatal("not one handler: ", len(handlers))
	}
	g := &gate{TB: tb, Gateway: new(Gateway), server: server, clock: c, address: nextAddress()}
	if err := caddy.StrictUnmarshalJSON(handlers[0], g.Gateway); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = g.Gateway.Cleanup() })
	if err := g.Provision(testContext(tb)); err != nil {
		tb.Fatal("provisioning: ", err)
	}
	core, logs := logtest.New(zap.DebugLevel)
	g.logs, g.log = logs, zap.New(core)
	g.keeper.Log = g.log
	if g.site != nil {
		g.site.Log = g.log
	}
	if g.endpoint != nil {
		g.endpoint.Log = g.log
	}
	g.validator.Now = c.now
	return g
}

// send serves one request. headers are names and values.
func (g *gate) send(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	g.Helper()
	raw := httptest.NewRequest(method, target, strings.NewReader(body))
	raw.Host, raw.RemoteAddr = "api.example", g.address+":4711"
	if strings.Contains(g.address, ":") {
		raw.RemoteAddr = "[" + g.address + "]:4711"
	}
	for n := 0; n < len(headers); n += 2 {
		raw.Header.Add(headers[n], headers[n+1])
	}
	return g.serve(raw)
}

func (g *gate) serve(raw *http.Request) *httptest.ResponseRecorder {
	g.Helper()
	res := httptest.NewRecorder()
	r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), res, g.server)
	upstream := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.saw = append(g.saw, r.Clone(r.Context()))
		w.WriteHeader(http.StatusOK)
		return nil
	})
	if err := g.ServeHTTP(res, r, upstream); err != nil {
		g.Error("an error that nobody renders: ", err)
	}
	return res
}

const formType = "application/x-www-form-urlencoded"

// post sends a form.
func (g *gate) post(path, form string, headers ...string) *httptest.ResponseRecorder {
	g.Helper()
	return g.send(http.MethodPost, path, form, append([]string{"Content-Type", formType}, headers...)...)
}

// basic is the header of a client's id and secret (RFC 6749 §2.3.1).
func basic(id, secret string) []string {
	pair := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))}
}

// token gets a grant of client_credentials for a client, with a good answer.
func (g *gate) token(id string) tokenAnswer {
	g.Helper()
	return g.answer(g.post("/auth", "grant_type=client_credentials", basic(id, id+"-secret")...))
}

// answer reads a good answer of the token endpoint, as RFC 6749 §5.1 has it.
func (g *gate) answer(res *httptest.ResponseRecorder) tokenAnswer {
	g.Helper()
	var answer tokenAnswer
	if res.Code != http.StatusOK || json.Unmarshal(res.Body.Bytes(), &answer) != nil {
		g.Fatalf("no good answer of the token endpoint: %d %s; log: %v", res.Code, res.Body, g.logs.All())
	}
	g.uncached(res)
	if !strings.HasPrefix(answer.AccessToken, credential.AccessPrefix) || answer.TokenType != "Bearer" {
		g.Fatalf("not a reference token: %s", res.Body)
	}
	return answer
}

func (g *gate) uncached(res *httptest.ResponseRecorder) {
	g.Helper()
	h := res.Header()
	if h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" || h.Get("Content-Type") != "application/json" {
		g.Errorf("headers of the answer: %v", h)
	}
}

func (g *gate) seen() int { g.mu.Lock(); defer g.mu.Unlock(); return len(g.saw) }

// get uses a token and answers status and what the upstream got as Authorization.
func (g *gate) get(tok string) (status int, upstream string) {
	g.Helper()
	before := g.seen()
	res := g.send(http.MethodGet, "/orders", "", "Authorization", "Bearer "+tok)
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.saw) > before {
		upstream = g.saw[before].Header.Get("Authorization")
	}
	return res.Code, upstream
}

// refused compares an error of the token endpoint: "<status> <code>", and the
// headers that belong to it.
func (g *gate) refused(what string, res *httptest.ResponseRecorder, want string) *errorAnswer {
	g.Helper()
	var answer errorAnswer
	if err := json.Unmarshal(res.Body.Bytes(), &answer); err != nil {
		g.Errorf("%s: not JSON: %d %s", what, res.Code, res.Body)
	}
	if got := fmt.Sprint(res.Code, " ", answer.Code); got != want {
		g.Errorf("%s: %s (%s), want %s", what, got, answer.Description, want)
	}
	g.uncached(res)
	h := res.Header()
	challenge := map[bool]string{true: `Basic realm="token endpoint"`}[res.Code == http.StatusUnauthorized]
	allow := map[bool]string{true: "POST, OPTIONS"}[res.Code == http.StatusMethodNotAllowed]
	if h.Get("WWW-Authenticate") != challenge || h.Get("Allow") != allow {
		g.Errorf("%s: WWW-Authenticate %q, Allow %q with status %d", what, h.Get("WWW-Authenticate"), h.Get("Allow"), res.Code)
	}
	return &answer
}

// errorAnswer is an answer of RFC 6749 §5.2.
type errorAnswer struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
	URI         string `json:"error_uri"`
}

// skip lets time go on for the issuer, for judging tokens and for the grants
// that there are. The token endpoint keeps the real time: ask it before.
func (g *gate) skip(d time.Duration) {
	g.Helper()
	g.clock.ahead.Add(int64(d))
	s, err := g.keeper.Open(g.Context())
	if err != nil {
		g.Fatal(err)
	}
	s.SetClock(g.clock.now)
}

// logged is everything that was logged, with all fields.
func (g *gate) logged() string {
	var text strings.Builder
	for _, line := range g.logs.All() {
		fields, _ := json.Marshal(line.ContextMap())
		fmt.Fprintf(&text, "%s %s %s\n", line.Level, line.Message, fields)
	}
	return text.String()
}

// hides fails if a secret is in the log or in one of the texts.
func (g *gate) hides(secrets []string, texts ...string) {
	g.Helper()
	for _, text := range append(texts, g.logged()) {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				g.Errorf("%q is shown: %s", secret, text)
			}
		}
	}
}
