package token

import (
	"fmt"
	"strings"
)

// DifferBy says what alone tells two names apart that are compared letter by
// letter, where it is what people mistype: "" if it is more, or nothing.
func DifferBy(a, b string) string {
	switch {
	case a == b || a == "" || b == "":
		return ""
	case strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/"):
		return "a slash at the end"
	case strings.EqualFold(a, b):
		return "upper and lower case"
	}
	one, other := partsOf(a), partsOf(b)
	if one == nil || other == nil {
		return ""
	}
	var by []string
	for _, part := range []string{"the scheme", "the host", "the port", "the rest"} {
		if one[part] != other[part] {
			by = append(by, part)
		}
	}
	switch {
	case len(by) != 1 || by[0] == "the rest":
		return ""
	case by[0] == "the host" && one["the rest"] == "" && !isLocalName(one["the host"]) && !isLocalName(other["the host"]):
		return "" // two hosts of the world, and nothing that they have in common
	}
	return by[0]
}

// partsOf are those of a URL, as far as they are looked at here; nil: it is none.
func partsOf(text string) map[string]string {
	scheme, behind, ok := strings.Cut(text, "://")
	end := strings.IndexAny(behind, "/?#")
	if end < 0 {
		end = len(behind)
	}
	host, port := behind[:end], ""
	if n := strings.LastIndexByte(host, ':'); n > strings.LastIndexByte(host, ']') {
		host, port = host[:n], host[n+1:]
	}
	if !ok || scheme == "" || host == "" || strings.Contains(host, "@") {
		return nil
	}
	return map[string]string{"the scheme": scheme, "the host": host, "the port": port, "the rest": strings.TrimSuffix(behind[end:], "/")}
}

// isLocalName reports whether a host has a name for the machines around it alone:
// localhost, an address, or a name without a dot, as containers have.
func isLocalName(host string) bool {
	return !strings.Contains(host, ".") || strings.Trim(host, "0123456789.") == ""
}

// mostNear bounds the work: whoever sends a token chooses how many texts it has.
const mostNear = 8

// Near says of the texts, where none of them is one of the names, which one nearly
// is, and by what it differs; "" of others.
func Near(texts, names []string) string {
	for _, text := range texts[:min(len(texts), mostNear)] {
		for _, name := range names[:min(len(names), mostNear)] {
			if by := DifferBy(text, name); by != "" {
				return fmt.Sprintf("; %.120q differs from %q by %s alone", text, name, by)
			}
		}
	}
	return ""
}
