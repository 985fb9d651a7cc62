package caddyoauth

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// beside is a second site with the same store, or another one.
func (h *deployment) beside(port int, store, words string) string {
	return fmt.Sprintf("http://127.0.0.1:%d {\noauth {\nissuer %s {\naudience api\n}\nsession {\nstore bolt %s\n%s\n}\n}\nrespond two\n}\n",
		port, h.issuer.URL, h.path(store), words)
}

func loadError(t *testing.T, text string) error {
	t.Helper()
	doc, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	return caddy.Load(doc, true)
}

// Of sites with one store the last one used to win, without a word: what was to
// end after ten minutes lived for a month, because of another site.
func TestSitesThatShareAStoreAgreeOnItsSettingsOrDoNotStart(t *testing.T) {
	for _, c := range []struct{ first, second, differ string }{
		{"max 10m", "max 720h", "max 10m 720h"},
		{"", "idle 2h", "idle 1h 2h"},
		{"token_timeout 5s", "", "token_timeout 5s 8s"},
		{"on_uncertain reauth", "", "on_uncertain reauth retry"},
		{"keys " + firstKey, "keys " + secondKey, "keys"},
		{"keys " + firstKey + " " + secondKey, "keys " + secondKey + " " + firstKey, "keys"},
		{"keys " + firstKey, "", "keys"},
		{"max 1h", "max 2h\nreuse_grace 5s", "max 1h 2h reuse_grace 0s 5s"},
	} {
		h := newDeployment(t)
		other := freePort(t)
		err := loadError(t, h.config(c.first)+h.beside(other, "grants.db", c.second))
		if err == nil {
			t.Errorf("%q and %q: it starts", c.first, c.second)
			h.stop()
			continue
		}
		text := err.Error()
		for _, part := range []string{fmt.Sprintf("127.0.0.1 at :%d", h.port), fmt.Sprintf("127.0.0.1 at :%d", other), h.path("grants.db")} {
			if !strings.Contains(text, part) {
				t.Errorf("%q and %q: %q is not in %q", c.first, c.second, part, text)
			}
		}
		_, differ, _ := strings.Cut(text, "differ in ")
		for word := range strings.FieldsSeq(c.differ) { // whichever of the two is loaded first
			if !strings.Contains(differ, word) {
				t.Errorf("%q and %q: %q is not in %q", c.first, c.second, word, differ)
			}
		}
		if strings.Contains(text, firstKey) || strings.Contains(text, secondKey) {
			t.Errorf("a key is shown: %q", text)
		}
	}
}

func TestSitesThatAgreeOrHaveStoresOfTheirOwnStart(t *testing.T) {
	h := newDeployment(t)
	other := freePort(t)
	for _, second := range []string{
		h.beside(other, "grants.db", "idle 1h\non_uncertain retry"), // which is the default
		h.beside(other, "others.db", "max 720h\nidle 2h\nkeys "+firstKey),
	} {
		if err := loadError(t, h.config("max 12h")+second); err != nil {
			t.Error(err)
		}
	}
	// Of two configurations, one on its way out, there is no conflict.
	for _, words := range []string{"max 10m", "max 20m", "keys " + firstKey} {
		if err := loadError(t, h.config(words)+h.beside(other, "grants.db", words)); err != nil {
			t.Errorf("a reload to %s: %v", words, err)
		}
		h.want(words, h.token(), 200)
	}
	if err := loadError(t, h.config("max 5m")+h.beside(other, "grants.db", "max 6m")); err == nil {
		t.Error("a reload to a conflict is taken")
	}
	if tok := h.token(); tok.ExpiresIn < 43_000 {
		t.Errorf("a reload that failed has changed max: %d", tok.ExpiresIn)
	}
}
