package policy

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// CheckPath refuses paths that the upstream may read differently from the
// matchers here: what a rule was judged for would not be what is served.
//
// Always refused are dot segments however they are spelled, also for readers
// that decode twice or fold letters (hidesDots), backslashes, NUL, and targets
// that are no path at all: matchers see "" in "x:http://h/admin" while the
// proxy passes it on. Where a requirement looks at the path (strictly), so is
// all that some server takes for another path: /admin;x/y, //admin, /admin%20,
// /admin., /%2561dmin and /ａdmin are /admin somewhere.
func CheckPath(u *url.URL, strictly bool) error {
	path := u.Path // decoded: "%2e%2e%2f" is "../" here
	if u.Opaque != "" || !strings.HasPrefix(path, "/") {
		return ambiguousPath("the target is not a path")
	}
	if strings.ContainsAny(path, "\\\x00") {
		return ambiguousPath("a backslash or NUL")
	}
	switch {
	case hasDotSegment(path):
		return ambiguousPath("a dot segment")
	case hidesDots(path):
		return ambiguousPath("what some read as a dot segment")
	case strictly:
		return checkPathStrictly(path)
	}
	return nil
}

func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return true
		}
	}
	return false
}

func checkPathStrictly(path string) error {
	switch {
	case strings.Contains(path, "//") || strings.Contains(path, ";"):
		return ambiguousPath("an empty segment or a path parameter, where a requirement looks at the path")
	case strings.Contains(path, " /") || strings.HasSuffix(path, " ") || strings.Contains(path, "./") || strings.HasSuffix(path, "."):
		return ambiguousPath("a segment that ends with a space or a dot, where a requirement looks at the path")
	case decodeOnce(path) != path || strings.ContainsAny(path, "?#"):
		return ambiguousPath("an escape in an escape, or an encoded ? or #, where a requirement looks at the path")
	case !utf8.ValidString(path) || strings.ContainsFunc(path, readsAsOther):
		return ambiguousPath("broken UTF-8, a control character or one that some read as ASCII, where a requirement looks at the path")
	}
	return nil
}

func ambiguousPath(detail string) error { return Ambiguous("path", verdict.AmbiguousPath, detail) }

// Ambiguous refuses a request of which what, such as its path, can be read in
// more than one way (400). detail is for the log.
func Ambiguous(what, reason, detail string) error {
	return &verdict.Rejection{
		Status: http.StatusBadRequest, Reason: reason, Code: verdict.InvalidRequest,
		Description: "the " + what + " can be read in more than one way", Detail: detail,
	}
}
