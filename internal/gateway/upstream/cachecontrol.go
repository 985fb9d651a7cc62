package upstream

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/lenient"
)

// keepPrivate keeps shared caches from storing an answer (RFC 9111 §5.2.2.7),
// whatever the upstream says: it sees an Authorization header, which would keep
// them by itself (§3.5), and they see none. The browser's own cache may go on as
// the upstream says. vary is the header that chose the answer, or empty.
func keepPrivate(h http.Header, vary string) {
	if len(h["Cache-Control"]) == 0 { // as most answers are
		h["Cache-Control"] = []string{"private"}
	} else if directives, changed := private(strings.Join(h["Cache-Control"], ",")); changed {
		h.Set("Cache-Control", strings.Join(directives, ", "))
	}
	for name := range h {
		if isForCaches(name) {
			delete(h, name)
		}
	}
	if vary != "" && !varies(h["Vary"], vary) {
		h["Vary"] = append(h["Vary"], vary)
	}
}

// private is a Cache-Control with which nothing is shared, and whether it had to
// be changed for that. "private" with names of headers is about those alone.
func private(text string) (directives []string, changed bool) {
	directives, closed := []string{}, false
	for directive := range lenient.Elements(text) {
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
		for one := range lenient.Elements(field) {
			if one == "*" || strings.EqualFold(one, name) {
				return true
			}
		}
	}
	return false
}
