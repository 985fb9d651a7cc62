package caddyoauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Caddy's access log shows the headers of answers, and that of a redirect to the
// issuer holds state and nonce. It is left out, and a line of ours is written.
func TestAClickThatIsSentToTheIssuerIsInNoLogWithItsState(t *testing.T) {
	h := newDeployment(t)
	h.issuer.metadata["authorization_endpoint"] = h.issuer.URL + "/authorize"
	load(t, strings.Replace(h.config("keys "+firstKey), "token_endpoint ", "login\n\t\t\ttoken_endpoint ", 1))
	h.ask(http.MethodGet, "/before", "")
	status, header, _ := h.ask(http.MethodGet, "/orders?page=2", "", navigation...)
	to, err := url.Parse(header.Get("Location"))
	if status != http.StatusFound || err != nil {
		t.Fatal(status, header, h.log())
	}
	log := h.log()
	if !strings.Contains(log, `"uri":"/before"`) || !strings.Contains(log, `"path":"/orders"`) {
		t.Error("no access lines: this test would see nothing")
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if value := to.Query().Get(name); len(value) < 16 || strings.Contains(log, value) {
			t.Errorf("%s, of %d letters, is in the log", name, len(value))
		}
	}
}
