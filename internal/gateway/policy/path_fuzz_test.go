package policy

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// No path passes that some server reads as another one: with dot segments,
// backslashes or NUL, once decoded; where rules look at paths, also with empty
// segments or parameters.
func FuzzPath(f *testing.F) {
	for _, p := range []string{
		"/", "/a/b", "/a/../b", "/a/%2e%2E/b", "/a/..%2fb", "/a%5cb", "/a%00", "//a", "/a//b", "/a;x/b", "/..;/a", "/a/.", "/a..b/...", "*", "/%2f", "/a%2fb", "/.%3bx/",
	} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Skip()
		}
		usual, strict := CheckPath(u, false), CheckPath(u, true)
		if usual != nil && strict == nil {
			t.Errorf("%q is refused, but not where rules look at paths", target)
		}
		if usual == nil {
			if strings.ContainsAny(u.Path, "\\\x00") {
				t.Errorf("%q passes", target)
			}
			// Dots count between slashes, and also before a parameter.
			segments := regexp.MustCompile(`;[^/]*`).ReplaceAllString(u.Path, "")
			for segment := range strings.SplitSeq(segments, "/") {
				if slices.Contains([]string{".", ".."}, segment) {
					t.Errorf("%q passes", target)
				}
			}
		}
		if strict == nil && strings.HasPrefix(u.Path, "/") {
			if twice, err := url.PathUnescape(u.Path); err == nil && twice != u.Path {
				t.Errorf("%q passes, and is %q to who decodes once more", target, twice)
			}
			if clean := path.Clean(u.Path); clean != u.Path && clean+"/" != u.Path {
				t.Errorf("%q passes, and is %q to others", target, clean)
			}
		}
	})
}
