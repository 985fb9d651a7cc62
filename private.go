package caddyoauth

import (
	"iter"
	"net/http"
	"slices"
	"strings"
)

// keepPrivate keeps shared caches from storing an answer (RFC 9111 §5.2.2.7),
// whatever the upstream says: it sees an Authorization header, which would keep
// them by itself (§3.5), and they see none. The browser's own cache may go on as
// the upstream says. vary is the header that chose the answer, or empty.
func keepPrivate(h http.Header, vary string) {
	if directives, changed := private(strings.Join(h["Cache-Control"], ",")); changed {
		h.Set("Cache-Control", strings.Join(directives, ", "))
	}
	for name := range h {
		if isForCaches(name) {
			delete(h, name)
		}
	}
	if vary != "" && !varies(h["Vary"], vary) {
		h.Add("Vary", vary)
	}
}

// private is a Cache-Control with which nothing is shared, and whether it had to
// be changed for that. "private" with names of headers is about those alone.
func private(text string) (directives []string, changed bool) {
	directives, closed := []string{}, false
	for directive := range listed(text) {
		name, arg, _ := strings.Cut(directive, "=")
		switch name = strings.ToLower(strings.TrimSpace(name)); {
		case name == "public", name == "s-maxage", name == "private" && arg != "":
			changed = true
			continue
		case name == "private", name == "no-store" && arg == "":
			closed = true
		}
		directives = append(directives, directive)
	}
	if !closed { // in front: a quote that is not closed must not swallow it
		return slices.Insert(directives, 0, "private"), true
	}
	return directives, changed
}

// listed splits a list at its commas, but for those in quotes (RFC 9110 §5.6.1).
func listed(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		quoted, begin := false, 0
		for i := 0; i < len(text); i++ {
			switch c := text[i]; {
			case quoted && c == '\\':
				i++ // the letter behind it is none of ours
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

// isForCaches knows the headers that some shared caches obey before
// Cache-Control: those of RFC 9213, whose names end alike, and older ones.
func isForCaches(name string) bool {
	const targeted = "-cache-control"
	if n := len(name) - len(targeted); n > 0 && strings.EqualFold(name[n:], targeted) {
		return true
	}
	return slices.ContainsFunc(forCaches, func(known string) bool { return strings.EqualFold(name, known) })
}

var forCaches = []string{"Surrogate-Control", "Edge-Control", "X-Accel-Expires"}

func varies(fields []string, name string) bool {
	for _, field := range fields {
		for one := range listed(field) {
			if one == "*" || strings.EqualFold(one, name) {
				return true
			}
		}
	}
	return false
}
