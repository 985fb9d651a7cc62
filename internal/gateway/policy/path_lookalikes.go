package policy

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// mostDecodings is how many layers of escapes are looked through. No client that
// means well needs so many.
const mostDecodings = 4

// hidesDots reports whether a server behind us may find a dot segment in a
// path that has none: by decoding escapes once more ("%2e" is what is left of
// "%252e"), by dropping what cannot be seen ("/. ./"), or by taking the nearest
// ASCII character ("／．．／", or the two dots of "‥").
func hidesDots(path string) bool {
	if !strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c == '%' || c >= 0x7f }) {
		return false
	}
	for range mostDecodings {
		read := nearest(path)
		if hasDotSegment(read) {
			return true
		}
		if path = decodeOnce(read); path == read {
			return false
		}
	}
	return true
}

// overlong are encodings of . / and \ that UTF-8 does not have (RFC 3629 §3),
// and some decoders do.
var overlong = strings.NewReplacer(
	"\xc0\xae", ".", "\xc0\xaf", "/", "\xc1\x9c", `\`,
	"\xe0\x80\xae", ".", "\xe0\x80\xaf", "/", "\xe0\x81\x9c", `\`,
	"\xf0\x80\x80\xae", ".", "\xf0\x80\x80\xaf", "/", "\xf0\x80\x81\x9c", `\`,
)

// nearest is a path as the most helpful server reads it.
func nearest(path string) string {
	path = overlong.Replace(path)
	var out strings.Builder
	for i, c := range path {
		switch {
		case strings.ContainsRune(`\∕⁄∖`, c): // division and fraction slashes, set minus
			out.WriteByte('/')
		case c == '。': // which domain names take for a dot
			out.WriteByte('.')
		case unseen(c) || c == ' ':
		case c >= utf8.RuneSelf:
			out.WriteString(plainer(c, path[i:]))
		default:
			out.WriteRune(c)
		}
	}
	return out.String()
}

// plainer is what a character other than ASCII, the first of text, is made of
// if that is ASCII (Unicode's compatibility decomposition), or else itself.
func plainer(c rune, text string) string {
	made := string(norm.NFKD.PropertiesString(text).Decomposition())
	switch {
	case made == "。": // of half width
		return "."
	case made == "" || strings.ContainsFunc(made, func(c rune) bool { return c >= utf8.RuneSelf }):
		return string(c)
	}
	return strings.ReplaceAll(strings.ReplaceAll(made, " ", ""), `\`, "/")
}

// unseen is what leaves no mark: control and format characters, white space
// that is no space, and broken UTF-8.
func unseen(c rune) bool {
	return c < ' ' || c == 0x7f || c == utf8.RuneError || c > 0x7f && (unicode.In(c, unicode.Cc, unicode.Cf) || unicode.IsSpace(c))
}

// decodeOnce decodes what escapes there are, %uXXXX too, and leaves the rest.
func decodeOnce(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		c, n, ok := escape(s[i:])
		if !ok {
			out.WriteByte(s[i])
			continue
		}
		if n == len("%uXXXX") {
			out.WriteRune(rune(c)) //nolint:gosec // of four hex digits
		} else {
			out.WriteByte(byte(c)) //nolint:gosec // of two
		}
		i += n - 1
	}
	return out.String()
}

// escape reads the one that s may begin with, and how long it is.
func escape(s string) (value uint64, length int, ok bool) {
	digits := 2
	if strings.HasPrefix(s, "%u") || strings.HasPrefix(s, "%U") {
		digits, length = 4, 1
	}
	if length += 1 + digits; s[0] != '%' || len(s) < length {
		return 0, 0, false
	}
	value, err := strconv.ParseUint(s[length-digits:length], 16, 16)
	return value, length, err == nil
}

// readsAsOther reports whether some server reads c as another character, of
// ASCII, or does not see it: full-width, circled and mathematical letters,
// ligatures, and those that only the case of ASCII folds to (ſ, K, ı).
func readsAsOther(c rune) bool {
	if c < utf8.RuneSelf {
		return c < ' ' || c == 0x7f
	}
	isASCII := func(c rune) bool { return c < utf8.RuneSelf }
	return unseen(c) || unicode.ToLower(c) < utf8.RuneSelf || unicode.ToUpper(c) < utf8.RuneSelf ||
		strings.ContainsFunc(norm.NFKC.String(string(c)), isASCII)
}
