package policy

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

func pathOf(t *testing.T, target string) *url.URL {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Upstreams decode once more, drop what they cannot print, or look for the
// nearest letter of their own alphabet.
func TestWhatSomeReadAsADotSegmentIsAlwaysRefused(t *testing.T) {
	for _, target := range []string{
		"/public/%252e%252e/admin", "/public/%252E./admin", "/public/..%252fadmin", "/x%252f..%252fadmin", "/public/..%255cadmin",
		"/public/%25252e%25252e/admin", "/public/%25%2532e%25%2532e/admin", "/public/%25u002e%25u002e/admin", "/public/%252e%252e;x/admin",
		"/public/.%20./admin", "/public/..%20/admin", "/public/%20../admin", "/public/.%09./admin", "/public/..%7f/admin", "/.%20./", "/x/.%20",
		"/public/%ef%bc%8e%ef%bc%8e/admin", // full-width
		"/public/．./admin", "/public/‥/admin", "/public/․․/admin", "/public/﹒﹒/admin", "/public/。。/admin", "/public/｡｡/admin",
		"/public/..／admin", "/public/..＼admin", "/public/..∕admin", "/public/％2e％2e/admin", "/public/%25ef%25bc%258e./admin",
		"/public/.%e2%80%8b./admin", "/public/.%c2%ad./admin", "/public/.%c2%a0./admin", // zero-width, soft hyphen, no-break
		"/public/%c0%ae%c0%ae/admin", "/public/..%c0%afadmin", "/public/%e0%80%ae%e0%80%ae/admin", "/public/%25c0%25ae./admin", // overlong
		"/public/.%ff./admin",
		"/%" + strings.Repeat("25", 60) + "2e", // escapes in escapes in …
	} {
		// What a URL cannot hold raw, a server takes all the same.
		if CheckPath(pathOf(t, target), false) == nil {
			t.Errorf("%s passes", target)
		}
	}
	for _, target := range []string{
		"/100%25", "/100%2525", "/50%25%20off", "/a%20b/c%20d", "/x..y/...", "/.well-known/x", "/caf%C3%A9/%E6%97%A5%E6%9C%AC", "/proxy/https%253A%252F%252Fa.example%252Fb",
		"/%ff%fe", "/２０２６/１．５", "/..x/x../.x./x", "/a%2fb", "/%c0/x", "/%25zz/%25u12",
	} {
		if err := CheckPath(pathOf(t, target), false); err != nil {
			t.Errorf("%s: %v", target, err.(*verdict.Rejection).Detail)
		}
	}
}

// A requirement about /admin must not be passed by a spelling of it.
func TestWhereARequirementLooksAtThePathSpellingsOfAnotherPathAreRefused(t *testing.T) {
	for _, target := range []string{
		"/%2561dmin", "/adm%2569n/x", "/%25u0061dmin", "/admin%252fx", // decoded once more
		"/ａdmin", "/adm\u0131n", "/adm\u017fn", "/\u212aelvin", "/ⓐdmin", "/ﬁles", "/№1", // letters that fold to ASCII
		"/admin.", "/admin./x", "/x/...", // dots that Windows drops
		"/admin%3fx", "/admin%23x", // which end a path
		"/admin%e2%80%8b", "/ad%c2%admin", // nothing to see
	} {
		u := pathOf(t, target)
		if err := CheckPath(u, false); err != nil {
			t.Errorf("%s is refused without such a requirement", target)
		}
		if CheckPath(u, true) == nil {
			t.Errorf("%s passes", target)
		}
	}
	for _, target := range []string{"/admin", "/100%25", "/a.b/.c", "/a%20b", "/caf%C3%A9", "/cafe%CC%81", "/%E6%97%A5%E6%9C%AC", "/a%2fb", "/", "/Straße", "/ΣΑΣ", "/%25zz"} {
		if err := CheckPath(pathOf(t, target), true); err != nil {
			t.Errorf("%s: %v", target, err.(*verdict.Rejection).Detail)
		}
	}
}

// A stranger sends as long a path as the server takes.
func TestALongOddPathIsJudgedInNoTime(t *testing.T) {
	for _, part := range []string{"%25", "%%32%35", "．", "%c0%ae", "%u002e", "\ufdfa", ". "} {
		u := &url.URL{Path: "/" + strings.Repeat(part, 1<<17/len(part))}
		began := time.Now()
		_ = CheckPath(u, true)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("128 KB of %q: %s", part, took)
		}
	}
}
