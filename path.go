package caddyoauth

import (
	"net/http"
	"net/url"
	"strings"
)

// checkPath refuses paths that the upstream may read differently from the
// matchers here: what a rule was judged for would not be what is served.
//
// Always refused are dot segments however they are spelled, backslashes and
// NUL. Where a requirement looks at the path (strictly), so are empty segments
// and path parameters: some servers read /admin;x/y and //admin as /admin.
func checkPath(u *url.URL, strictly bool) error {
	path := u.Path // decoded: "%2e%2e%2f" is "../" here
	if strings.ContainsAny(path, "\\\x00") {
		return ambiguous("a backslash or NUL")
	}
	for segment := range strings.SplitSeq(path, "/") {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return ambiguous("a dot segment")
		}
	}
	if strictly && (strings.Contains(path, "//") || strings.Contains(path, ";")) {
		return ambiguous("an empty segment or a path parameter, where a requirement looks at the path")
	}
	return nil
}

func ambiguous(detail string) error {
	return &Rejection{
		Status: http.StatusBadRequest, Reason: ambiguousPath, Code: invalidRequest,
		Description: "the path can be read in more than one way", Detail: detail,
	}
}
