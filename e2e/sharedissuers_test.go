package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// issuerHost is a process for the providers of many tests: what Node loads for the
// first one costs more than all that a test asks of its own.
type issuerHost struct {
	sync.Mutex
	home string
	url  string
	proc *process
}

// issuerHosts are as many as this machine has use for at a time. They run until the
// tests end, in a directory of their own.
var issuerHosts struct {
	sync.Mutex
	all  [2]issuerHost
	next int
}

// endIssuerHosts comes after the last test.
func endIssuerHosts() {
	for i := range issuerHosts.all {
		if h := &issuerHosts.all[i]; h.proc != nil {
			h.proc.signal(syscall.SIGTERM)
			_ = os.RemoveAll(h.home)
		}
	}
}

// startRefreshing starts a provider of issuers/refreshing.mjs in one of the issuerHosts.
func startRefreshing(t *testing.T, env ...string) *realIssuer {
	t.Helper()
	issuerHosts.Lock()
	h := &issuerHosts.all[issuerHosts.next%len(issuerHosts.all)]
	issuerHosts.next++
	issuerHosts.Unlock()
	h.build(t)
	set := map[string]string{}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		set[name] = value
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	a, err := post(h.url+"/_test/start", string(text))
	var made struct{ Issuer string }
	if err != nil || json.Unmarshal([]byte(a.body), &made) != nil || made.Issuer == "" {
		t.Fatalf("starting a provider: %d %s %v\n%s", a.status, a.body, err, tail(h.proc.out.String(), 30))
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of the output of all providers of this house:\n%s", tail(h.proc.out.String(), 30))
		}
		_, _ = post(h.url+"/_test/stop?issuer="+url.QueryEscape(made.Issuer), "")
	})
	return &realIssuer{url: made.Issuer, proc: h.proc}
}

func post(url, text string) (answer, error) {
	resp, err := freshClient.Post(url, "application/json", strings.NewReader(text)) //nolint:noctx // a test's
	if err != nil {
		return answer{}, err
	}
	return readAnswer(resp)
}

// freshClient keeps no connection: Node closes idle ones after five seconds, and a
// POST that meets the end of one is not sent again.
var freshClient = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// build starts the process, for the first who asks.
func (h *issuerHost) build(t *testing.T) {
	t.Helper()
	h.Lock()
	defer h.Unlock()
	if h.url != "" {
		return
	}
	wantNodeModules(t)
	var err error
	if h.home, err = os.MkdirTemp("", "house"); err != nil { // t.TempDir ends with the test
		t.Fatal(err)
	}
	if h.proc, err = launch(h.home, []string{"MANY=1"}, "node", filepath.Join("issuers", "refreshing.mjs")); err != nil {
		t.Fatal(err)
	}
	h.url = h.proc.awaitLine(t, "listening ")
}
