package lenient

import (
	"iter"
	"net/http"
	"slices"
	"strings"
)

// Cookies walks a Cookie field as it came: upstreams may find cookies where
// strict parsers find none.
func Cookies(field string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for pair := range strings.SplitSeq(field, ";") {
			if name, value := CookieOf(pair); !yield(name, value) {
				return
			}
		}
	}
}

// CookieOf reads one pair of a Cookie field, or of a Set-Cookie field.
func CookieOf(pair string) (name, value string) {
	name, value, _ = strings.Cut(pair, "=")
	return strings.Trim(name, " \t"), strings.Trim(value, " \t")
}

// DropCookies takes some cookies off a request. All others stay byte for byte.
func DropCookies(h http.Header, drop func(name, value string) bool) {
	fields := h["Cookie"]
	if !slices.ContainsFunc(fields, func(field string) bool { return anyCookie(field, drop) }) {
		return
	}
	kept := make([]string, 0, len(fields))
	for _, field := range fields {
		var few [8]string // on the stack
		rest := few[:0]
		for pair := range strings.SplitSeq(field, ";") {
			if name, value := CookieOf(pair); !drop(name, value) {
				rest = append(rest, pair)
			}
		}
		if text := strings.TrimLeft(strings.Join(rest, ";"), " "); text != "" {
			kept = append(kept, text)
		}
	}
	if h.Del("Cookie"); len(kept) > 0 {
		h["Cookie"] = kept
	}
}

func anyCookie(field string, is func(name, value string) bool) bool {
	for name, value := range Cookies(field) {
		if is(name, value) {
			return true
		}
	}
	return false
}
