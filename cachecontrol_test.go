package caddyoauth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

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
