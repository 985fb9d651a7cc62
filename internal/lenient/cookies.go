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
	return trim(name), trim(value)
}

// trim is strings.Trim(text, " \t"), which makes a set of these for each call: it
// runs for every cookie of every request, several times.
func trim(text string) string {
	for text != "" && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	for text != "" && (text[len(text)-1] == ' ' || text[len(text)-1] == '\t') {
		text = text[:len(text)-1]
	}
	return text
}

// DropCookies takes some cookies off a request. All others stay byte for byte.
func DropCookies(h http.Header, drop func(name, value string) bool) {
	fields := h["Cookie"]
	if !slices.ContainsFunc(fields, func(field string) bool { return anyCookie(field, drop) }) {
		return
	}
	kept := make([]string, 0, len(fields))
	for _, field := range fields {
		if text := strings.TrimLeft(without(field, drop), " "); text != "" {
			kept = append(kept, text)
		}
	}
	if delete(h, "Cookie"); len(kept) > 0 {
		h["Cookie"] = kept
	}
}

// without is a field without some of its cookies. Where those stand at its
// beginning or its end no copy is made.
func without(field string, drop func(name, value string) bool) string {
	var few [4]string // on the stack
	parts, begin := few[:0], -1
	for at := 0; at <= len(field); {
		next := len(field)
		if n := strings.IndexByte(field[at:], ';'); n >= 0 {
			next = at + n
		}
		switch name, value := CookieOf(field[at:next]); {
		case !drop(name, value):
			if begin < 0 {
				begin = at
			}
		case begin >= 0:
			parts, begin = append(parts, field[begin:at-1]), -1
		}
		at = next + 1
	}
	if begin >= 0 {
		parts = append(parts, field[begin:])
	}
	return strings.Join(parts, ";")
}

func anyCookie(field string, is func(name, value string) bool) bool {
	for name, value := range Cookies(field) {
		if is(name, value) {
			return true
		}
	}
	return false
}
