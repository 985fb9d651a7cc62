// Package resource is the document that tells clients of a protected resource
// and of its authorization servers (RFC 9728).
package resource

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/as"
)

// WellKnown is where the documents of a host are (RFC 9728 §3).
const WellKnown = "/.well-known/oauth-protected-resource"

// Path is where the document about a resource that was checked is served: the
// well-known part comes before the resource's own path. A slash that is all of
// that path goes (RFC 9728 §3.1).
func Path(resource string) string {
	u, err := url.Parse(resource)
	if err != nil || u.Path == "/" {
		return WellKnown
	}
	return WellKnown + u.Path
}

// Paths are those at which it is served: where the resource has no path of its
// own, with a slash behind it too, which clients put there that write URLs anew.
func Paths(resource string) []string {
	if path := Path(resource); path != WellKnown {
		return []string{path}
	}
	return []string{WellKnown, WellKnown + "/"}
}

// plain is the form of a resource: what every client, which writes it anew as a
// URL, writes in the same letters. It is compared as text.
var plain = regexp.MustCompile(`^https?://[a-z0-9._:\[\]-]+(/[A-Za-z0-9._~!$&'()+,;=:@-]+)*/?$`)

// Check refuses what cannot be the URL of a resource, or not one that all
// clients write alike. Plain http is for loopback, or with allowHTTP.
func Check(resource string, allowHTTP bool) error {
	if strings.ContainsAny(resource, "{}") {
		return fmt.Errorf("resource %.200q: it takes no placeholder, for its path decides where the metadata are; {$NAME} works in a Caddyfile", resource)
	}
	if err := as.CheckURL(resource, allowHTTP); err != nil {
		return fmt.Errorf("resource: %w", err)
	}
	u, err := url.Parse(resource)
	dots := func(segment string) bool { return segment == "." || segment == ".." }
	switch {
	case err != nil || !plain.MatchString(resource) || slices.ContainsFunc(strings.Split(u.Path, "/"), dots):
		return fmt.Errorf("resource %.200q: write a URL with its host in lower case, a plain path, and no query or fragment", resource)
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80", strings.HasSuffix(u.Host, ":"):
		return fmt.Errorf("resource %.200q: leave the port out that goes without saying, as clients do", resource)
	}
	return nil
}
