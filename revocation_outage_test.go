package caddyoauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session/boltstore"
)

// A gateway that begins while its store is down does not know what was taken back. It
// once judged without that, and where no request asked for a grant it never looked
// again.
func TestAStartWithoutTheStoreLetsNothingInThatWasTakenBack(t *testing.T) {
	issuer := newGrantor(t, nil)
	path := filepath.Join(t.TempDir(), "grants.db")
	begin := func(words string) *gate {
		return rawGate(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\n}\nsession {\nstore bolt %s\nkeys %s\n}\nrevocation {\nkeep 2h\n%s\n}\n}", issuer.URL, path, firstKey, words), &issuer.clock)
	}
	jwt := func(sub string) string {
		tok, err := issuer.key.Token("at+jwt", map[string]any{"iss": issuer.URL, "aud": "api", "sub": sub,
			"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Add(-time.Minute).Unix()})
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	of := func(sub string) string {
		return fmt.Sprintf(`{"issuer": %q, "client": "", "subject": %q}`, issuer.URL, sub)
	}
	alice, bob, carol := jwt("alice"), jwt("bob"), jwt("carol")
	bearer := func(g *gate, tok string) *httptest.ResponseRecorder {
		return g.send(http.MethodGet, "/orders", "", "Authorization", "Bearer "+tok)
	}
	wants := func(g *gate, tok string, want int) {
		t.Helper()
		if res := bearer(g, tok); res.Code != want || want == http.StatusServiceUnavailable && res.Header().Get("Retry-After") == "" {
			t.Errorf("%d %v, want %d", res.Code, res.Header(), want)
		}
	}

	before := begin("")
	wants(before, alice, 200)
	revokes(t, http.MethodPost, of("alice"), 200)
	wants(before, alice, 401)
	if err := before.Gateway.Cleanup(); err != nil {
		t.Fatal(err)
	}

	down, err := boltstore.Open(path, time.Now) // by another process, say
	if err != nil {
		t.Fatal(err)
	}
	careful, careless := begin(""), begin("unread pass")
	wants(careful, alice, 503)
	wants(careful, bob, 503)
	wants(careless, bob, 200)
	revokes(t, http.MethodPost, of("carol"), 503)
	wants(careless, carol, 401) // it counts at once, where it was taken back
	revokes(t, http.MethodDelete, of("alice"), 503)

	if err := down.Close(); err != nil {
		t.Fatal(err)
	}
	for _, g := range []*gate{careful, careless} {
		await(t, "the list to be read, with nobody asking for a grant", func() bool { return bearer(g, alice).Code == 401 })
		wants(g, bob, 200)
		wants(g, carol, 401)
	}
	await(t, "what was taken back meanwhile to be stored", func() bool {
		status, _ := adminOf(t, revocations, http.MethodPost, "/oauth/revocations", of("carol"))
		return status == 200
	})
	for _, g := range []*gate{careful, careless} {
		if err := g.Gateway.Cleanup(); err != nil {
			t.Fatal(err)
		}
	}
	after := begin("")
	for tok, want := range map[string]int{alice: 401, bob: 200, carol: 401} {
		wants(after, tok, want)
	}
}
