package caddyoauth

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.etcd.io/bbolt"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

func TestValidatingOpensNothingAlsoBesideARunningServer(t *testing.T) {
	h := newDeployment(t)
	validated := func() {
		t.Helper()
		doc, err := adapt(h.config("keys " + firstKey))
		if err != nil {
			t.Fatal(err)
		}
		var cfg caddy.Config
		if err := json.Unmarshal(doc, &cfg); err != nil {
			t.Fatal(err)
		}
		cfg.Logging = nil // the log file is not what is looked at
		if err := caddy.Validate(&cfg); err != nil {
			t.Fatal(err)
		}
	}
	validated()
	if files, err := os.ReadDir(h.dir); err != nil || len(files) > 0 {
		t.Errorf("validating has left %v, %v", files, err)
	}
	h.start("")
	tok := h.token()
	before, err := os.Stat(h.path("grants.db"))
	if err != nil {
		t.Fatal(err)
	}
	// Waiting for the file that the server holds takes a second. A slow machine
	// may take as long, but not each time.
	await(t, "a validation that does not wait for the file", func() bool {
		began := time.Now()
		validated()
		return time.Since(began) < 900*time.Millisecond
	})
	if after, err := os.Stat(h.path("grants.db")); err != nil || after.ModTime() != before.ModTime() {
		t.Error("the file was touched: ", err)
	}
	h.want("after validating another configuration", tok, 200)
	young := h.token() // not sealed with the keys of what was only validated
	h.stop()
	h.start("")
	h.want("after a restart", young, 200)
}

// unusable wants a failure and no verdict: 503, Retry-After, no challenge.
func (h *deployment) unusable(tok tokenAnswer, inTheLog string) {
	h.Helper()
	for range 3 {
		status, header, body := h.ask(http.MethodGet, "/", "", "Authorization", "Bearer "+tok.AccessToken)
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || header.Get("WWW-Authenticate") != "" {
			h.Errorf("a request: %d %v %s", status, header, body)
		}
	}
	status, header, body := h.ask(http.MethodPost, "/auth", "grant_type=client_credentials", basic(h.client, "s")...)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(body, `"temporarily_unavailable"`) {
		h.Errorf("the token endpoint: %d %v %s", status, header, body)
	}
	if n := h.issuer.count(); n != 0 {
		h.Errorf("the issuer was asked %d times for what cannot be kept", n)
	}
	if log := h.log(); !strings.Contains(log, "the store of grants cannot be used") || !strings.Contains(log, inTheLog) || !strings.Contains(log, h.path("grants.db")) {
		h.Errorf("the log does not say what is wrong: %s", log)
	}
	if n := strings.Count(h.log(), "the store of grants cannot be used"); n > 8 {
		h.Errorf("%d log lines about one store", n)
	}
}

func TestAFileThatAnotherProcessHoldsIsAFailureUntilItIsFree(t *testing.T) {
	h := newDeployment(t)
	h.start("")
	tok := h.token()
	h.stop()
	h.issuer.take()
	db, err := bbolt.Open(h.path("grants.db"), 0o600, nil) // the lock is that of the open file, as of another process
	if err != nil {
		t.Fatal(err)
	}
	h.start("")
	h.unusable(tok, "is held by another process")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, "the file to be taken", func() bool { return h.status(tok) == 200 })
}

func TestADamagedFileIsAFailureUntilItIsReplacedAndStaysAsItIs(t *testing.T) {
	h := newDeployment(t)
	h.start("")
	tok := h.token()
	h.stop()
	h.issuer.take()
	file := h.path("grants.db")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad := []byte(strings.Repeat("no store of grants ", 1000))
	if err := os.WriteFile(file, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	h.start("")
	h.unusable(tok, "is no store of grants, or is damaged")
	if now, err := os.ReadFile(file); err != nil || string(now) != string(bad) {
		t.Error("it was written over: ", err)
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the good file to be taken", func() bool { return h.status(tok) == 200 })
}

// A token of the issuer's own needs the store for what was taken back alone. Where that
// cannot be known, the operator may say that it passes.
func TestTheIssuersOwnTokensPassWhileTheStoreCannotBeUsedWhereTheOperatorSaysSo(t *testing.T) {
	h := newDeployment(t)
	if err := os.Mkdir(h.path("grants.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	own, reference := tokenAnswer{AccessToken: h.issuer.access("alice")}, tokenAnswer{AccessToken: credential.AccessPrefix + strings.Repeat("A", 64)}
	h.start("")
	h.want("the issuer's own", own, 503)
	load(t, strings.Replace(h.config(""), "token_endpoint /auth", "revocation {\nunread pass\n}\ntoken_endpoint /auth", 1))
	h.want("the issuer's own, with unread pass", own, 200)
	h.want("a reference token", reference, 503)
}

// What the issuer has answered is on the disk before Caddy has stopped.
func TestStoppingWaitsForARefreshUnderWayAndItsPairIsKept(t *testing.T) {
	h := newDeployment(t)
	h.start("")
	tok := h.token()
	h.issuer.take()
	begun, goOn := make(chan struct{}), make(chan struct{})
	var fresh string
	h.issuer.reply(func(w http.ResponseWriter, _ *asked) {
		fresh = h.issuer.access(h.client) // another subject would end the grant
		close(begun)
		<-goOn
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": fresh, "token_type": "Bearer", "expires_in": 300})
	})
	h.skip(accessLife)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url(), nil)
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer "+tok.AccessToken)
		r.Close = true
		if res, err := http.DefaultTransport.RoundTrip(r); err == nil { // Caddy may cut it off
			_ = res.Body.Close()
		}
	}()
	<-begun
	stopped := make(chan error)
	go func() { stopped <- caddy.Stop() }()
	await(t, "the configuration to be cleaned up", func() bool { return !held(h.path("grants.db")) })
	select {
	case err := <-stopped:
		t.Fatal("Caddy has stopped in the middle of a refresh: ", err)
	case <-time.After(50 * time.Millisecond): // that nothing happens cannot be awaited
	}
	close(goOn)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if n := len(h.issuer.take()); n != 1 {
		t.Fatalf("asked %d times", n)
	}
	h.issuer.reply(nil)
	h.start("")
	claims, err := token.PayloadClaims(fresh)
	if err != nil {
		t.Fatal(err)
	}
	status, _, body := h.ask(http.MethodGet, "/", "", "Authorization", "Bearer "+tok.AccessToken)
	if want := "hello " + h.client + " " + claims.String("jti"); status != http.StatusOK || body != want {
		t.Errorf("%d %s, want %s", status, body, want)
	}
	if n := len(h.issuer.take()); n != 0 {
		t.Errorf("it was refreshed again: the pair was lost")
	}
}
