package caddyoauth

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A token that its issuer bound to a key of the client was taken as a plain
// Bearer token: a thief without the key could use it. It is refused in the
// header, behind a reference token and behind a browser's session, a JWT and an
// opaque one, and with always also where the answer alone says so.
func TestABoundTokenIsRefusedWhereverItStands(t *testing.T) {
	bound := map[string]any{"cnf": map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}
	refuses := func(g *gate, what string, status int) {
		t.Helper()
		if log := g.logged(); status == http.StatusOK || !strings.Contains(log, "bound_token") {
			t.Errorf("%s: status %d; log: %s", what, status, log)
		}
		if len(g.saw) > 0 {
			t.Errorf("%s: the upstream saw it", what)
		}
	}

	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	status, _ := g.get(issuer.access("alice", bound))
	refuses(g, "in the header", status)

	s := newPortal(t, "", nil)
	s.tokens = map[string]any{"access_token": s.issuer.access("alice", bound)}
	b := s.browser()
	res := b.back(b.begin("/orders"))
	if res.Code != http.StatusForbidden {
		t.Errorf("a log-in that brings a bound token: %d", res.Code)
	}
	refuses(s.gate, "after a log-in", b.status())

	for words, tok := range map[string]func(*grantor) string{
		"":       func(*grantor) string { return "opaque" },
		"always": func(i *grantor) string { return i.access("alice") },
	} {
		issuer := newGrantor(t, nil)
		issuer.says(http.StatusOK, `{"active":true,"aud":"api","token_type":"Bearer","cnf":{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}}`)
		g := newAsker(t, issuer, words, "")
		status, _ := g.get(tok(issuer))
		refuses(g, fmt.Sprintf("introspect {%s}", words), status)
	}
}

// What a grant's refresh brings is judged as its first token was.
func TestABoundTokenBehindAReferenceTokenIsRefused(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	reference := g.token("batch")
	if status, _ := g.get(reference.AccessToken); status != http.StatusOK {
		t.Fatalf("a plain token behind it: %d", status)
	}
	issuer.reply(func(w http.ResponseWriter, _ *asked) {
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":300,"access_token":%q}`, issuer.access("batch", map[string]any{"cnf": map[string]any{}}))
	})
	g.skip(accessLife + 1)
	if status, _ := g.get(reference.AccessToken); status != http.StatusUnauthorized || !strings.Contains(g.logged(), "bound_token") {
		t.Errorf("a bound one that a refresh brought: %d; log: %s", status, g.logged())
	}
}
