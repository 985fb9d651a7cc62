package status

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/breaker"
	"github.com/caddyoauth/caddyoauth/internal/gateway/admin"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
)

func TestTheStatusIsPrintedForPeople(t *testing.T) {
	now := time.Now()
	state := admin.Status{
		Issuers: []issuers.State{{
			Issuer: "https://login.example.com", Source: "issuer", Fetched: now.Add(-time.Minute), NextFetch: now.Add(3 * time.Minute),
			Keys:  []issuers.KeyState{{KeyID: "a\x1b[2J", Type: "RSA", Bits: 2048, Algorithms: []string{"PS256", "RS256"}, Since: now.Add(-time.Hour)}},
			Cache: issuers.CacheState{Entries: 7, Most: 100},
		}, {Issuer: "https://down.example.com", Source: "issuer", LastError: "connection refused", Breaker: breaker.State{Open: true, Seconds: 12}}, {
			Issuer: "https://asked.example.com", Source: "issuer", Fetched: now, Keys: []issuers.KeyState{{KeyID: "b", Type: "OKP", Curve: "Ed25519"}},
			Introspection: []introspection.State{{
				Endpoint: "https://asked.example.com/introspect", Client: "gateway", Always: true, Remembered: 21, Inactive: 8, Breaker: breaker.State{Open: true, Seconds: 5},
			}},
		}},
		Stores: []grants.State{{Store: "bolt /grants.db", Open: true, Counted: true, Live: 3}},
	}
	var out bytes.Buffer
	if err := write(&out, &state, now); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{
		"https://login.example.com  ok ", "1m0s ago", "in 3m0s", "7 of 100", "a\ufffd[2J", "RSA 2048", "PS256 RS256", "1h0m0s",
		"https://down.example.com   NO KEYS", "never", "open for 12s", "The last fetch failed: connection refused", "bolt /grants.db",
		"https://asked.example.com  BREAKER OPEN", "INTROSPECTION AT https://asked.example.com", "https://asked.example.com/introspect  gateway", "every token", "open for 5s",
	} {
		if !strings.Contains(out.String(), words) {
			t.Errorf("no %q in\n%s", words, &out)
		}
	}
	if well(&state) {
		t.Error("it is not well")
	}
	out.Reset()
	if err := write(&out, new(admin.Status), now); err != nil || !strings.Contains(out.String(), "No issuer") {
		t.Error(out.String(), err)
	}
}
