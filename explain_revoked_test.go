package caddyoauth

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/explain"
	"github.com/caddyoauth/caddyoauth/internal/gateway/revocation"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
)

// Entries by other claims, and those that ask for a renewal alone, once were known to
// requests only: explain called such a token good.
func TestExplainTellsOfEveryEntryThatConcernsAToken(t *testing.T) {
	issuer, source := newGrantor(t, nil), newEventSource(t)
	g := told(t, issuer, source, "match email email")
	made := func(sub string) string {
		return issuer.access(sub, map[string]any{"iat": time.Now().Add(-time.Minute).Unix(), "email": sub + "@example.com"})
	}
	explained := func(tok string) *explain.Explanation {
		return explain.Explain(t.Context(), g.Gateway, tok, explain.Options{At: time.Now(), Held: true})
	}
	for _, sub := range []string{"ann", "bob", "eve", "max"} {
		if status, _ := g.get(made(sub)); status != http.StatusOK {
			t.Fatal(sub, status)
		}
		if e := explained(made(sub)); e.Verdict != "accepted" {
			t.Fatalf("%s: %+v", sub, e)
		}
	}
	for _, set := range []string{
		source.event(t, caepEvent+"token-claims-change", fmt.Sprintf(`{"format": "iss_sub", "iss": %q, "sub": "ann"}`, issuer.URL)),
		source.event(t, riscEvent+"account-disabled", `{"format": "email", "email": "bob@example.com"}`),
	} {
		if status := g.tell(set); status != http.StatusAccepted {
			t.Fatal(status, g.logged())
		}
	}
	revokes(t, http.MethodPost, fmt.Sprintf(`{"issuer": %q, "subject": "eve"}`, issuer.URL), 200)
	for sub, want := range map[string]struct{ check, reason, words string }{
		"ann": {"security events", "token_outdated", "was said to be out of date"},
		"bob": {"security events", "token_revoked", "the same email"},
		"eve": {"taken back", "token_revoked", "by operator"},
	} {
		if status, _ := g.get(made(sub)); status != http.StatusUnauthorized {
			t.Errorf("%s passes with %d", sub, status)
		}
		if e := explained(made(sub)); e.Reason != want.reason || e.Check != want.check || !strings.Contains(e.Detail, want.words) {
			t.Errorf("%s: %s at %q: %s; want %+v", sub, e.Reason, e.Check, e.Detail, want)
		}
	}
	if e := explained(made("max")); e.Verdict != "accepted" || len(e.Notes) > 0 {
		t.Errorf("max: %+v", e)
	}
	long := issuer.access("max", map[string]any{"exp": time.Now().Add(48 * time.Hour).Unix()})
	if e := explained(long); !strings.Contains(strings.Join(e.Notes, " "), "longer keep") {
		t.Errorf("a token that outlives keep: %q", e.Notes)
	}
	var n revoked.Kinds
	for _, one := range revocation.States() {
		if one.Store == g.keeper.Identity() {
			n = one.Kinds
		}
	}
	if n.Renewals < 1 || n.Claims < 1 || n.Subjects < 2 {
		t.Errorf("the status counts %+v", n)
	}
}
