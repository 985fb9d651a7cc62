package upstream

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/lenient"
)

func TestWhatAnUpstreamSaysToSharedCachesIsMadePrivate(t *testing.T) {
	for _, row := range []struct {
		said []string
		want string
	}{
		{nil, "private"},
		{[]string{""}, "private"},
		{[]string{"max-age=60"}, "private, max-age=60"},
		{[]string{"no-cache"}, "private, no-cache"}, // stored, and asked about with another client's credential
		{[]string{"Public , max-age=60, S-MaxAge=600"}, "private, max-age=60"},
		{[]string{"public", "max-age=60"}, "private, max-age=60"},
		{[]string{"private"}, "private"},
		{[]string{"PRIVATE,max-age=1"}, "PRIVATE,max-age=1"},
		{[]string{"no-store"}, "no-store"},
		{[]string{"private, public"}, "private"},
		{[]string{"no-store, s-maxage=1"}, "no-store"},
		{[]string{`private="Set-Cookie", max-age=60`}, "private, max-age=60"},
		{[]string{`no-cache="private, public"`}, `private, no-cache="private, public"`},
		{[]string{`ext="a\", private"`}, `private, ext="a\", private"`},
		{[]string{`ext="a, private`}, `private, ext="a, private`},
		{[]string{"not-private, max-age=1"}, "private, not-private, max-age=1"},
	} {
		h := http.Header{}
		if row.said != nil {
			h["Cache-Control"] = slices.Clone(row.said)
		}
		keepPrivate(h, "")
		if got := strings.Join(h["Cache-Control"], "|"); got != row.want {
			t.Errorf("%q becomes %q, want %q", row.said, got, row.want)
		}
	}
	for said, want := range map[string]string{"": "Cookie", "*": "*", "accept, COOKIE": "accept, COOKIE", "Accept": "Accept|Cookie", "X-Cookie": "X-Cookie|Cookie"} {
		h := http.Header{}
		if said != "" {
			h.Set("Vary", said)
		}
		keepPrivate(h, "Cookie")
		if got := strings.Join(h["Vary"], "|"); got != want {
			t.Errorf("Vary %q becomes %q, want %q", said, got, want)
		}
	}
	h := http.Header{
		"Surrogate-Control": {"max-age=60"}, "Cdn-Cache-Control": {"max-age=60"}, "Some-Cdn-Cache-Control": {"max-age=60"},
		"X-Accel-Expires": {"60"}, "Edge-Control": {"max-age=60"}, "X-Cache-Controller": {"stays"},
	}
	if keepPrivate(h, ""); len(h) != 2 || h.Get("X-Cache-Controller") != "stays" {
		t.Errorf("left: %v", h)
	}
}

// Whatever an upstream writes there, no shared cache may store the answer, and
// to say it once more changes nothing.
func FuzzCacheControl(f *testing.F) {
	for _, text := range []string{"", "public", "s-maxage=1, private", `a="b, \"c", no-store`, `no-cache="`, ",,", `"\`, `private="x"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h := http.Header{"Cache-Control": {text}}
		keepPrivate(h, "Cookie")
		once := h.Get("Cache-Control")
		closed := false
		for one := range lenient.Elements(once) {
			name, arg, _ := strings.Cut(strings.ToLower(one), "=")
			name = strings.TrimSpace(name)
			closed = closed || arg == "" && (name == "private" || name == "no-store")
			if name == "public" || name == "s-maxage" {
				t.Fatalf("%q becomes %q", text, once)
			}
		}
		if keepPrivate(h, "Cookie"); !closed || h.Get("Cache-Control") != once || len(h["Vary"]) != 1 {
			t.Fatalf("%q becomes %q and then %v", text, once, h)
		}
	})
}
