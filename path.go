package caddyoauth

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// checkPath refuses paths that the upstream may read differently from the
// matchers here: what a rule was judged for would not be what is served.
//
// Always refused are dot segments however they are spelled, backslashes, NUL,
// and targets that are no path at all: matchers see "" in "x:http://h/admin"
// while the proxy passes it on. Where a requirement looks at the path
// (strictly), so are empty segments, path parameters, control characters and
// broken UTF-8: some servers read /admin;x/y, //admin and /admin%20 as /admin.
func checkPath(u *url.URL, strictly bool) error {
	path := u.Path // decoded: "%2e%2e%2f" is "../" here
	if u.Opaque != "" || !strings.HasPrefix(path, "/") {
		return ambiguous("the target is not a path")
	}
	if strings.ContainsAny(path, "\\\x00") {
		return ambiguous("a backslash or NUL")
	}
	for segment := range strings.SplitSeq(path, "/") {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return ambiguous("a dot segment")
		}
	}
	if strictly {
		return checkPathStrictly(path)
	}
	return nil
}

func checkPathStrictly(path string) error {
	control := func(c rune) bool { return c < ' ' || c == 0x7f }
	switch {
	case strings.Contains(path, "//") || strings.Contains(path, ";"):
		return ambiguous("an empty segment or a path parameter, where a requirement looks at the path")
	case strings.Contains(path, " /") || strings.HasSuffix(path, " "):
		return ambiguous("a segment that ends with a space, where a requirement looks at the path")
	case !utf8.ValidString(path) || strings.ContainsFunc(path, control):
		return ambiguous("broken UTF-8 or a control character, where a requirement looks at the path")
	}
	return nil
}

func ambiguous(detail string) error {
	return &Rejection{
		Status: http.StatusBadRequest, Reason: ambiguousPath, Code: invalidRequest,
		Description: "the path can be read in more than one way", Detail: detail,
	}
}
