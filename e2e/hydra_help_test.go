package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// hydra is an Ory Hydra with its database in a file, and the app for log-in and
// consent that Hydra leaves to others.
type hydra struct {
	shared
	grace string // rotation_grace_period

	desk     *desk
	office   *desk  // before its admin port, which asks for no authentication
	admin    string // the office's address
	accounts *httptest.Server

	mu     sync.Mutex
	number int // of clients
}

// The two that the tests share: a refresh token that was used ends everything at
// the first, and is taken for 30 seconds at the second, as the recipe has it.
var strictHydra, graciousHydra = newHydra("0s"), newHydra("30s")

func newHydra(grace string) *hydra {
	h := &hydra{grace: grace}
	h.shared = shared{name: "hydra", start: h.begin, warm: h.firstToken}
	return h
}

// runHydra starts it, for the first who asks.
func runHydra(t *testing.T, h *hydra) *hydra {
	t.Helper()
	h.run(t)
	return h
}

func (h *hydra) begin(t *testing.T, home, built string) (*process, error) {
	t.Helper()
	public, admin := freePort(t), freePort(t)
	h.ready = at(public) + "/.well-known/jwks.json"
	// SQLite refuses the second who wants to write: "database is locked".
	h.desk, h.office = openDesk(at(public)), openDesk(at(admin))
	h.desk.queue = make(chan struct{}, 1)
	h.office.queue = h.desk.queue
	h.admin = h.office.url
	h.accounts = httptest.NewServer(http.HandlerFunc(h.serveAccounts))
	said := change(t, recipeOf(t, "issuers/hydra.md", "yaml", "rotation_grace_period"),
		"https://hydra.example.com", h.desk.url, "https://accounts.example.com", h.accounts.URL,
		"rotation_grace_period: 30s", "rotation_grace_period: "+h.grace)
	writeFile(t, home, "hydra.yml", said)
	writeFile(t, home, "here.yml", fmt.Sprintf(`
dsn: sqlite://%s?_fk=true&mode=rwc&_journal_mode=WAL&_busy_timeout=10000&_synchronous=OFF
secrets:
  system: [only-for-tests-%s]
serve:
  public: {host: 127.0.0.1, port: %d}
  admin: {host: 127.0.0.1, port: %d}
oauth2: {hashers: {algorithm: bcrypt, bcrypt: {cost: 4}}}
sqa: {opt_out: true}
log: {level: warn}
`, filepath.Join(home, "hydra.sqlite"), strings.Repeat("x", 16), public, admin))
	files := []string{"--config", filepath.Join(home, "hydra.yml"), "--config", filepath.Join(home, "here.yml")}
	if _, stderr, code := runCommand(t, home, "", built, append([]string{"migrate", "sql", "--read-from-env", "--yes"}, files...)...); code != 0 {
		return nil, fmt.Errorf("hydra migrate ended with %d: %s", code, tail(stderr, 10))
	}
	return launch(home, nil, built, append([]string{"serve", "all", "--dev", "--sqa-opt-out"}, files...)...)
}

// firstToken makes the keys that sign access tokens. Hydra makes them at the first
// request, and several times over where several are the first.
func (h *hydra) firstToken() error {
	all := hydraWords("first", "a secret", nil)
	if err := ask(http.MethodPost, h.admin+"/admin/clients", all, &struct{}{}); err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, h.desk.url+"/oauth2/token", strings.NewReader("grant_type=client_credentials")) //nolint:noctx // a test's
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("first", url.QueryEscape("a secret"))
	a, err := send(newClient(5*time.Minute), req)
	if a.status != http.StatusOK {
		return fmt.Errorf("the first token: %d %s %w", a.status, a.body, err)
	}
	return nil
}

// serveAccounts is the app for log-in, consent and log-out. It asks nobody: the
// user is who login_hint says, or alice.
func (h *hydra) serveAccounts(w http.ResponseWriter, r *http.Request) {
	kind := strings.Trim(r.URL.Path, "/")
	challenge := url.Values{kind + "_challenge": {r.URL.Query().Get(kind + "_challenge")}}
	var asked struct {
		Scope    []string `json:"requested_scope"`
		Audience []string `json:"requested_access_token_audience"`
		Subject  string   `json:"subject"`
		Context  struct {
			Hint string `json:"login_hint"`
		} `json:"oidc_context"`
	}
	address := h.admin + "/admin/oauth2/auth/requests/" + kind
	if err := ask(http.MethodGet, address+"?"+challenge.Encode(), nil, &asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	accept := map[string]any{}
	switch kind {
	case "login":
		subject := asked.Subject // of a log-in that is remembered
		if subject == "" {
			subject = asked.Context.Hint
		}
		if subject == "" {
			subject = "alice"
		}
		accept = map[string]any{"subject": subject, "remember": true, "remember_for": 3600}
	case "consent":
		accept = map[string]any{"grant_scope": asked.Scope, "grant_access_token_audience": asked.Audience, "session": consentSession}
	}
	var to struct {
		Redirect string `json:"redirect_to"`
	}
	if err := ask(http.MethodPut, address+"/accept?"+challenge.Encode(), accept, &to); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	http.Redirect(w, r, to.Redirect, http.StatusFound)
}

// consentSession is what the consent app says of a user: the page has it.
var consentSession = func() map[string]any {
	var all map[string]any
	text, err := os.ReadFile("../docs/issuers/hydra.md")
	if err == nil {
		_, after, _ := strings.Cut(string(text), "```json\n")
		before, _, _ := strings.Cut(after, "```")
		err = json.Unmarshal([]byte(before), &all)
	}
	if err != nil {
		return map[string]any{"docs/issuers/hydra.md": err.Error()}
	}
	session, _ := all["session"].(map[string]any)
	return session
}()

// ask sends JSON and reads JSON.
func ask(method, address string, send, into any) error {
	body, err := json.Marshal(send)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, address, strings.NewReader(string(body))) //nolint:noctx // a test's
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := plainClient.Do(req)
	if err != nil {
		return err
	}
	defer closeAll(resp.Body)
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s answers %d: %s", address, resp.StatusCode, said)
	}
	return json.Unmarshal(said, into)
}

// hydraClient is a client of its own for a test, with the secret it has there.
type hydraClient struct {
	h          *hydra
	id, secret string
}

// client registers one, with the words of the recipe and then of set.
func (h *hydra) client(t *testing.T, set map[string]any) hydraClient {
	t.Helper()
	h.mu.Lock()
	h.number++
	c := hydraClient{h, fmt.Sprintf("client-%d", h.number), "secret-of-a-client"}
	h.mu.Unlock()
	all := hydraWords(c.id, c.secret, set)
	if err := ask(http.MethodPost, h.admin+"/admin/clients", all, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	return c
}

// hydraWords are those of the recipe, and then those of set.
func hydraWords(id, secret string, set map[string]any) map[string]any {
	all := map[string]any{
		"client_id": id, "client_secret": secret, "scope": "openid offline_access orders:read", "audience": []string{audience},
		"grant_types":    []string{"authorization_code", "refresh_token", "client_credentials"},
		"response_types": []string{"code"}, "redirect_uris": []string{callback},
	}
	maps.Copy(all, set)
	return all
}

// lives makes the access tokens of a log-in live so long.
func (c hydraClient) lives(t *testing.T, life string) {
	t.Helper()
	err := ask(http.MethodPut, c.h.admin+"/admin/clients/"+c.id+"/lifespans", map[string]string{
		"authorization_code_grant_access_token_lifespan": life,
		"refresh_token_grant_access_token_lifespan":      life,
		"client_credentials_grant_access_token_lifespan": life,
	}, &struct{}{})
	if err != nil {
		t.Fatal(err)
	}
}

// token is one of the client's own.
func (c hydraClient) token(t *testing.T, form url.Values) string {
	t.Helper()
	form.Set("grant_type", "client_credentials")
	return askToken(t, c.h.desk.url+"/oauth2/token", c.id, c.secret, form)
}
