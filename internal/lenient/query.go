package lenient

import (
	"iter"
	"net/url"
	"strings"
)

// QueryPairs splits at ";" too: some upstreams do, and must not find a token
// that was not looked at.
func QueryPairs(rawQuery string) iter.Seq[string] {
	return strings.FieldsFuncSeq(rawQuery, func(c rune) bool { return c == '&' || c == ';' })
}

// QueryValues are the values of a parameter, unescaped.
func QueryValues(rawQuery, name string) (values []string) {
	for pair := range QueryPairs(rawQuery) {
		if key, value, _ := strings.Cut(pair, "="); Unescape(key) == name {
			values = append(values, Unescape(value))
		}
	}
	return values
}

// Unescape takes broken escapes as they stand, as many upstreams do.
func Unescape(s string) string {
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	var out strings.Builder
	for len(s) > 0 {
		// One escape or character at a time: only what is broken stays.
		n := 1
		if s[0] == '%' && len(s) > 2 {
			n = 3
		}
		one, err := url.QueryUnescape(s[:n])
		if err != nil {
			n, one = 1, s[:1]
		}
		out.WriteString(one)
		s = s[n:]
	}
	return out.String()
}
