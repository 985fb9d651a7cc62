package redisstore

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

// grants is an issuer that grants everything, and stands by it when asked.
func grants(t *testing.T) string {
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			_, _ = io.WriteString(w, `{"access_token":"at","token_type":"Bearer","expires_in":300}`)
			return
		}
		if r.URL.Path == "/introspect" {
			_, _ = io.WriteString(w, `{"active":true,"aud":"api","exp":4102444800}`)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"token_endpoint":%q,"introspection_endpoint":%q}`,
			issuer.URL, issuer.URL+"/jwks", issuer.URL+"/token", issuer.URL+"/introspect")
	}))
	t.Cleanup(issuer.Close)
	return issuer.URL
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestFiftyReloadsLeaveNoConnectionAndNoGoroutineBehind(t *testing.T) {
	server, issuer, port, storage := redistest.Start(t), grants(t), redistest.FreePort(t), t.TempDir()
	clients := func() int {
		return strings.Count(server.Do("CLIENT", "LIST", "TYPE", "normal"), "addr=") + strings.Count(server.Do("CLIENT", "LIST", "TYPE", "pubsub"), "addr=")
	}
	load := func(n int) {
		t.Helper()
		doc, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(fmt.Appendf(nil, `{
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
			oauth {
				issuer %s {
					audience api
					introspect
					client gateway secret
				}
				session {
					keys the-key-of-this-test-the-key-of-this-test
					store redis %s {
						connections %d
					}
				}
				token_endpoint /auth
			}
			respond hello
		}`, storage, port, issuer, server.Address(), 4+n%20), map[string]any{"filename": "Caddyfile"})
		if err != nil {
			t.Fatal(err)
		}
		if err := caddy.Load(doc, true); err != nil {
			t.Fatal(err)
		}
		await(t, "a grant", func() bool {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/auth", port), strings.NewReader("grant_type=client_credentials"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth("orders", "secret")
			r.Close = true // connections that are kept would count as goroutines
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				return false // a reload drops connections that wait for the old listener
			}
			defer res.Body.Close()
			_, _ = io.Copy(io.Discard, res.Body)
			return res.StatusCode == http.StatusOK
		})
	}
	t.Cleanup(func() { _ = caddy.Stop() })
	none := clients()
	load(0)
	load(1) // the first reload starts lasting goroutines of Caddy's own
	goroutines, connections := runtime.NumGoroutine(), clients()
	if connections <= none {
		t.Fatal("there is no connection: the test shows nothing")
	}
	for n := range 50 {
		load(n + 2)
	}
	const more = 6 // a pool keeps some that are idle
	await(t, "goroutines and connections to be as before", func() bool {
		return runtime.NumGoroutine() <= goroutines+more && clients() <= connections+more
	})
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	await(t, "all connections to be closed", func() bool { return clients() <= none })
}

// Each node would seal with a key of its own, and none could open what another
// one has sealed: every second request would be answered with 503.
func TestAStoreOfManyNodesNeedsKeys(t *testing.T) {
	doc, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(`{
		admin off
	}
	:0 {
		oauth https://login.example.com api {
			session {
				store redis 127.0.0.1:1
			}
		}
	}`), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	var config caddy.Config
	if err := json.Unmarshal(doc, &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err == nil || !strings.Contains(err.Error(), "needs keys {file.") {
		t.Errorf("got %v, want an error that asks for keys", err)
	}
}
