package caddyoauth

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// deployment is a Caddy in this process with a gateway, a store and a log file in a
// directory of its own.
type deployment struct {
	*testing.T
	issuer *grantor
	dir    string
	port   int
	client string // its id: failures are counted by client and address
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	h := &deployment{T: t, issuer: newGrantor(t, nil), dir: storageDir(t), port: freePort(t), client: nextAddress()}
	t.Cleanup(func() { _ = caddy.Stop() })
	return h
}

func (h *deployment) path(name string) string { return filepath.Join(h.dir, name) }

// config is a Caddyfile with the given words in its session block.
func (h *deployment) config(words string) string {
	return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	grace_period 1s
	storage file_system %s
	log {
		output file %s {
			roll_disabled
		}
		format json
		level DEBUG
	}
}
http://127.0.0.1:%d {
	log
	handle /metrics {
		metrics
	}
	handle {
		oauth {
			issuer %s {
				audience api
				client gateway the-gateways-own-secret
			}
			session {
				store bolt %s
				%s
			}
			token_endpoint /auth /refresh {
				revocation_endpoint /revoke
			}
		}
		respond "hello {http.auth.user.id} {http.auth.user.jti}"
	}
}
`, h.path("storage"), h.path("log"), h.port, h.issuer.URL, h.path("grants.db"), words)
}

// start loads a configuration with the given words in its session block.
func (h *deployment) start(words string) {
	h.Helper()
	load(h.T, h.config(words))
}

func (h *deployment) stop() {
	h.Helper()
	if err := caddy.Stop(); err != nil {
		h.Fatal(err)
	}
}

func (h *deployment) url() string { return fmt.Sprintf("http://127.0.0.1:%d", h.port) }

// ask sends one request on a connection of its own.
func (h *deployment) ask(method, path, form string, headers ...string) (status int, header http.Header, body string) {
	h.Helper()
	var res *http.Response
	await(h.T, "an answer to "+path, func() bool {
		r, err := http.NewRequestWithContext(h.Context(), method, h.url()+path, strings.NewReader(form))
		if err != nil {
			h.Fatal(err)
		}
		r.Close = true
		if form != "" {
			r.Header.Set("Content-Type", formType)
		}
		for n := 0; n < len(headers); n += 2 {
			r.Header.Add(headers[n], headers[n+1])
		}
		// A reload drops connections that wait for the old listener; such a
		// request was never seen.
		res, err = http.DefaultTransport.RoundTrip(r) //nolint:bodyclose // closed below
		return err == nil
	})
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

// token gets a token through the gateway.
func (h *deployment) token() tokenAnswer {
	h.Helper()
	status, _, body := h.ask(http.MethodPost, "/auth", "grant_type=client_credentials", basic(h.client, "s")...)
	var tok tokenAnswer
	if err := json.Unmarshal([]byte(body), &tok); err != nil || status != http.StatusOK {
		h.Fatalf("no token: %d %s\n%s", status, body, h.log())
	}
	return tok
}

// status is what a token gets.
func (h *deployment) status(tok tokenAnswer) int {
	h.Helper()
	status, _, _ := h.ask(http.MethodGet, "/orders", "", "Authorization", "Bearer "+tok.AccessToken)
	return status
}

// want fails unless a token gets a status.
func (h *deployment) want(what string, tok tokenAnswer, status int) {
	h.Helper()
	if got := h.status(tok); got != status {
		h.Errorf("%s: %d, want %d", what, got, status)
	}
}

func (h *deployment) log() string {
	text, _ := os.ReadFile(h.path("log"))
	return string(text)
}

// skip lets time go on for the grants that are open in this process, until the
// next reload.
func (h *deployment) skip(d time.Duration) {
	h.Helper()
	h.issuer.clock.ahead.Add(int64(d))
	if err := grants.Each(h.Context(), func(_ string, s *session.Vault) error {
		s.SetClock(h.issuer.clock.now)
		return nil
	}); err != nil {
		h.Fatal(err)
	}
}
