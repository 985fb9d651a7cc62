package caddyoauth

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/gatewaytest"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

// testIssuer is a real HTTP server with metadata and keys that counts what is
// fetched.
type testIssuer struct {
	*httptest.Server
	fetches atomic.Int32 // of the key set
	keys    []*jwssign.Key
}

func newTestIssuer(t *testing.T, keys ...*jwssign.Key) *testIssuer {
	t.Helper()
	i := &testIssuer{keys: keys}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.URL, i.URL+"/jwks")
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		i.fetches.Add(1)
		_, _ = w.Write(jwssign.Set(keys...))
	})
	i.Server = newServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *testIssuer) token(t *testing.T) string {
	t.Helper()
	tok, err := i.keys[0].Token("at+jwt", map[string]any{
		"iss": i.URL, "aud": "api", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// load runs a Caddyfile in this process and stops Caddy at the test's end.
func load(t *testing.T, text string) {
	t.Helper()
	doc, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(doc, true); err != nil {
		t.Fatal(err)
	}
}

// site is a Caddyfile with a protected path and the metrics. extra goes into
// the oauth block.
func site(t *testing.T, port int, issuer, extra string) string {
	return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	grace_period 1s
	storage file_system %s
	log {
		output discard
	}
}
http://127.0.0.1:%d {
	handle /metrics {
		metrics
	}
	handle {
		oauth %s api {
			%s
		}
		respond "hello {http.auth.user.id}"
	}
}`, storageDir(t), port, issuer, extra)
}

// storageDir is removed in the end, when the last writer is done.
func storageDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "oauth-storage")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		await(t, "the storage to be left alone", func() bool { return os.RemoveAll(dir) == nil })
	})
	return dir
}

func get(t *testing.T, url, tok string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if tok != "" {
		r.Header.Set("Authorization", "Bearer "+tok)
	}
	r.Close = true // keep-alive connections would count as goroutines
	var res *http.Response
	await(t, "an answer from "+url, func() bool {
		// Caddy drops connections that wait for the old listener's accept
		// when a reload closes it; such a request was never seen.
		res, err = http.DefaultClient.Do(r) //nolint:bodyclose // closed below
		return err == nil
	})
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// metric is the value of one line of the metrics page, or "".
func metric(page, series string) string {
	for line := range strings.SplitSeq(page, "\n") {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return value
		}
	}
	return ""
}

// A reload with the same issuer fetches no keys, forgets no token, resets no
// metric and leaks nothing.
func TestTwentyReloadsKeepTheStateAndLeakNothing(t *testing.T) {
	issuer := newTestIssuer(t, benchKey(t, "ES256"))
	port := freePort(t)
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	config := site(t, port, issuer.URL, "")
	t.Cleanup(func() { _ = caddy.Stop() })
	load(t, config)
	tok := issuer.token(t)
	if status, body := get(t, url, tok); status != 200 || body != "hello alice" {
		t.Fatal(status, body)
	}
	load(t, strings.Replace(config, "hello", "hi 0", 1)) // the first reload starts lasting goroutines of Caddy's own
	base := runtime.NumGoroutine()
	fetches := issuer.fetches.Load()

	served := 1
	for n := range 20 {
		load(t, strings.Replace(config, "hello", fmt.Sprint("hi ", n+1), 1))
		// The old server may take a connection yet: the two share the port.
		await(t, "the new configuration to answer", func() bool {
			status, body := get(t, url, tok)
			if served++; status != 200 {
				t.Fatal(n, status, body)
			}
			return body == fmt.Sprintf("hi %d alice", n+1)
		})
	}
	if got := issuer.fetches.Load(); got != fetches {
		t.Errorf("%d key fetches during 20 reloads, want none", got-fetches)
	}
	_, page := get(t, url+"/metrics", "")
	label := fmt.Sprintf(`{issuer=%q,`, issuer.URL)
	if got := metric(page, "caddy_oauth_verdicts_total"+label+`reason="accepted"}`); got != fmt.Sprint(served) {
		t.Errorf("accepted: %q, want %d", got, served)
	}
	if got := metric(page, "caddy_oauth_cache_lookups_total"+label+`result="miss"}`); got != "1" {
		t.Errorf("cache misses: %s, want 1: the token was forgotten", got)
	}
	if got := metric(page, fmt.Sprintf("caddy_oauth_keys_age_seconds{issuer=%q}", issuer.URL)); got == "" {
		t.Error("no age of the keys")
	}
	await(t, "goroutines to return to the baseline", func() bool { return runtime.NumGoroutine() <= base+2 })
}

func TestAChangedIssuerStartsAfresh(t *testing.T) {
	issuer := newTestIssuer(t, benchKey(t, "ES256"))
	port := freePort(t)
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	t.Cleanup(func() { _ = caddy.Stop() })
	load(t, site(t, port, issuer.URL, ""))
	tok := issuer.token(t)
	if status, _ := get(t, url, tok); status != 200 {
		t.Fatal(status)
	}
	load(t, strings.Replace(site(t, port, "", ""), "oauth  api {", fmt.Sprintf("oauth {\nissuer %s {\naudience api\nalgorithms RS256\n}", issuer.URL), 1))
	if status, body := get(t, url, tok); status != 401 {
		t.Errorf("an ES256 token after a reload to RS256 alone: %d %s, want 401", status, body)
	}
}

func TestStoppingCaddyEndsEveryAuthority(t *testing.T) {
	issuer := newTestIssuer(t, benchKey(t, "ES256"))
	port := freePort(t)
	load(t, site(t, port, issuer.URL, ""))
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, state := range issuers.States(time.Now(), nil) {
		t.Errorf("the state of %s is still held", state.Issuer)
	}
}

func TestAHalfProvisionedConfigurationReleasesWhatItAcquired(t *testing.T) {
	config, err := json.Marshal(&config.Config{Issuer: []*issuers.Issuer{
		{URL: []string{"https://one.example"}, Audience: []string{"api"}},
		{URL: []string{"https://two.example"}, Audience: []string{"{env.SURELY_NOT_SET}"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(provisioned(t))
	defer cancel()
	_, err = ctx.LoadModuleByID("http.handlers.oauth", config)
	if err == nil || !strings.Contains(err.Error(), "env.SURELY_NOT_SET") {
		t.Fatalf("error %v, want one that names the placeholder", err)
	}
	for _, state := range issuers.States(time.Now(), nil) {
		t.Errorf("the state of %s is still held", state.Issuer)
	}
}

func provisioned(t *testing.T) caddy.Context {
	t.Helper()
	ctx, err := caddy.ProvisionContext(&caddy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

// await waits until ok, or fails.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	gatewaytest.Await(t, what, ok)
}
