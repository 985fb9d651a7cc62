// Package lenient reads parts of a request as the most lenient server behind
// the gateway may read them: what such a server would find must not be missed
// here, and what is taken off must be gone for it too.
package lenient

import (
	"iter"
	"net/http"
	"strings"
)

// Strip takes off fields whose names fold to one of names, which are folded.
func Strip(h http.Header, names []string) {
	for name := range h {
		for _, ours := range names {
			if Folds(name, ours) {
				delete(h, name)
			}
		}
	}
}

// Fold is a header name as the most careless server reads it: CGI has letters,
// digits and one sign for all the rest.
func Fold(name string) string {
	folded := []byte(strings.TrimRight(name, " \t"))
	for i, c := range folded {
		folded[i] = foldByte(c)
	}
	return string(folded)
}

func foldByte(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + ('a' - 'A')
	case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		return c
	}
	return '-'
}

// Folds is fold(name) == folded without an allocation: it runs for every
// header of every request.
func Folds(name, folded string) bool {
	for len(name) > len(folded) && (name[len(name)-1] == ' ' || name[len(name)-1] == '\t') {
		name = name[:len(name)-1]
	}
	if len(name) != len(folded) {
		return false
	}
	for i := range len(name) {
		if foldByte(name[i]) != folded[i] {
			return false
		}
	}
	return true
}

// Elements splits a list at its commas, but for those in quotes (RFC 9110 §5.6.1).
func Elements(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		quoted, begin := false, 0
		for i := 0; i < len(text); i++ {
			switch c := text[i]; {
			case quoted && c == '\\':
				i++ // the character behind it is none of ours
			case c == '"':
				quoted = !quoted
			case c == ',' && !quoted:
				if one := strings.TrimSpace(text[begin:i]); one != "" && !yield(one) {
					return
				}
				begin = i + 1
			}
		}
		if one := strings.TrimSpace(text[begin:]); one != "" {
			yield(one)
		}
	}
}
