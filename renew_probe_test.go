package caddyoauth

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// An issuer that fails with the grants of one client, or user, is asked with a
// refresh token that was never issued, before it is left alone for all.
func TestAUserWhoseGrantsTheIssuerStumblesOverStopsNoOther(t *testing.T) {
	for name, block := range map[string]string{"the gateway's own client": "client gateway the-gateways-own-secret", "no client": ""} {
		newSly(t, nil, nil)
		issuer := newGrantor(t, nil)
		g := rawGate(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\n%s\n}\nsession {\nstore sly\n}\n%s\n}", issuer.URL, block, endpoint), &issuer.clock)
		var bad []string
		for range 8 {
			bad = append(bad, g.token("mallory").AccessToken)
		}
		good := g.token("good").AccessToken
		var probes []asked
		issuer.reply(func(w http.ResponseWriter, q *asked) {
			switch {
			case q.Form.Get("grant_type") == tokenrequest.RefreshToken:
				probes = append(probes, *q)
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(w, `{"error":%q}`, map[bool]string{true: "invalid_grant", false: "invalid_client"}[q.client() == "gateway"])
			case q.client() == "mallory":
				w.Header().Set("Retry-After", "60")
				w.WriteHeader(http.StatusInternalServerError)
			default:
				issuer.grant(w, q)
			}
		})
		g.skip(accessLife + time.Second)
		for _, tok := range bad {
			if status, _ := g.get(tok); status != http.StatusServiceUnavailable {
				t.Errorf("%s: mallory's own: %d", name, status)
			}
		}
		if status, _ := g.get(good); status != http.StatusOK {
			t.Errorf("%s: the other client gets %d; log: %s", name, status, g.logged())
		}
		_ = g.Gateway.Cleanup() // waits for the probe
		if len(probes) == 0 {
			t.Errorf("%s: nobody asked whether it works", name)
		}
		for _, q := range probes {
			if q.client() == "mallory" || q.client() == "good" || strings.Contains(q.Form.Encode(), "secret-of") {
				t.Errorf("%s: asked as %s: %v", name, q.client(), q.Form)
			}
		}
	}
}
