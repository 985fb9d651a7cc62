package caddyoauth

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/answer"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/lenient"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

func TestWhatAnUpstreamSaysToSharedCachesIsMadePrivate(t *testing.T) {
	for _, row := range []struct {
		said []string
		want string
	}{
		{nil, "private"},
		{[]string{""}, "private"},
		{[]string{"max-age=60"}, "private, max-age=60"},
		{[]string{"no-cache"}, "private, no-cache"}, // stored, and asked about with somebody else's credential
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
		answer.KeepPrivate(h, "")
		if got := strings.Join(h["Cache-Control"], "|"); got != row.want {
			t.Errorf("%q becomes %q, want %q", row.said, got, row.want)
		}
	}
	for said, want := range map[string]string{"": "Cookie", "*": "*", "accept, COOKIE": "accept, COOKIE", "Accept": "Accept|Cookie", "X-Cookie": "X-Cookie|Cookie"} {
		h := http.Header{}
		if said != "" {
			h.Set("Vary", said)
		}
		answer.KeepPrivate(h, "Cookie")
		if got := strings.Join(h["Vary"], "|"); got != want {
			t.Errorf("Vary %q becomes %q, want %q", said, got, want)
		}
	}
	h := http.Header{
		"Surrogate-Control": {"max-age=60"}, "Cdn-Cache-Control": {"max-age=60"}, "Some-Cdn-Cache-Control": {"max-age=60"},
		"X-Accel-Expires": {"60"}, "Edge-Control": {"max-age=60"}, "X-Cache-Controller": {"stays"},
	}
	if answer.KeepPrivate(h, ""); len(h) != 2 || h.Get("X-Cache-Controller") != "stays" {
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
		answer.KeepPrivate(h, "Cookie")
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
		if answer.KeepPrivate(h, "Cookie"); !closed || h.Get("Cache-Control") != once || len(h["Vary"]) != 1 {
			t.Fatalf("%q becomes %q and then %v", text, once, h)
		}
	})
}

// The upstream sees an Authorization header. A cache in front sees a cookie, and
// showed one person's page to the next.
func TestAnswersToWhatCachesDoNotSeeArePrivate(t *testing.T) {
	s := newPortal(t, "}\ncredentials header\ncredentials header X-Token\ncredentials cookie at\ncredentials query token\n"+
		"allow_anonymous\nsession {\nstore memory", nil)
	b := s.browser()
	b.back(b.begin("/_oauth/login?return=/orders"))
	own := s.issuer.access("robot")
	for name, row := range map[string]struct {
		target  string
		headers []string
		vary    string
		shared  bool
	}{
		"a session":              {"/", []string{"Cookie", "__Host-oauth=" + b.cookies["__Host-oauth"]}, "Accept|Cookie", false},
		"a session that is dead": {"/", []string{"Cookie", "__Host-oauth=" + session.NewHandle().Reveal(credential.SessionPrefix)}, "Accept|Cookie", false},
		"a token in a cookie":    {"/", []string{"Cookie", "at=" + own}, "Accept|Cookie", false},
		"a reference in one":     {"/", []string{"Cookie", "at=" + s.gate.token("orders").AccessToken}, "Accept|Cookie", false},
		"in another header":      {"/", []string{"X-Token", own}, "Accept|X-Token", false},
		"in the query":           {"/?token=" + own, nil, "Accept", false},
		"in Authorization":       {"/", []string{"Authorization", "Bearer " + own}, "Accept", true},
		"there, from a browser":  {"/", []string{"Authorization", "Bearer " + own, "Cookie", "theme=dark"}, "Accept", true},
		"nobody's":               {"/", []string{"Cookie", "theme=dark"}, "Accept", true},
	} {
		for way, write := range waysToAnswer() {
			raw := httptest.NewRequest(http.MethodGet, "https://api.example"+row.target, nil)
			for n := 0; n < len(row.headers); n += 2 {
				raw.Header.Add(row.headers[n], row.headers[n+1])
			}
			want := "private, max-age=60"
			if row.shared {
				want = "public, max-age=60"
			}
			res := through(t, s.Gateway, raw, func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Cache-Control", "public, max-age=60")
				w.Header().Set("Vary", "Accept")
				return write(w)
			})
			for kind, h := range map[string]http.Header{"left": res.Header(), "sent": res.Result().Header} {
				if got := h.Get("Cache-Control"); got != want || strings.Join(h["Vary"], "|") != row.vary {
					t.Errorf("%s, %s, %s: %q, Vary %q", name, way, kind, got, h["Vary"])
				}
			}
		}
	}
}

// What a request brings in Authorization is answered by the upstream itself.
func TestAProgramsAnswerHasNothingOfOursAroundIt(t *testing.T) {
	key := benchKey(t, "ES256")
	g := benchGateway(t, []*jwssign.Key{key}, nil)
	raw := httptest.NewRequest(http.MethodGet, "https://api.example/", nil)
	raw.Header.Set("Authorization", "Bearer "+benchToken(t, key, 0))
	through(t, g, raw, func(w http.ResponseWriter, _ *http.Request) error {
		if _, bare := w.(*httptest.ResponseRecorder); !bare {
			t.Errorf("the upstream writes to %T", w)
		}
		return nil
	})
}
