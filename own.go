package caddyoauth

import (
	"net/http"
	"strings"
)

// ownHandler answers a request to one of the gateway's own paths.
type ownHandler func(http.ResponseWriter, *http.Request) error

// ownPaths are all that the gateway answers itself, whatever matcher the
// directive has. Nothing of them is ever forwarded.
func (c *Config) ownPaths() (paths []string) {
	if c.TokenEndpoint != nil {
		paths = append(paths, c.TokenEndpoint.paths()...)
	}
	if c.Login != nil {
		paths = append(paths, c.Login.prefix()+"/*")
	}
	if c.Resource != "" {
		paths = append(paths, metadataPath(c.Resource))
	}
	return paths
}

// ownPath finds what answers a path of the gateway's own, or nil.
func (g *Gateway) ownPath(r *http.Request) (serve ownHandler) {
	// Case does not count, as it does not for Caddy's own path matcher.
	is := func(path string) bool { return path != "" && strings.EqualFold(path, r.URL.Path) }
	if g.TokenEndpoint != nil {
		serve = g.TokenEndpoint.serve(g, is)
	}
	if g.isQuestion(r) {
		if serve != nil { // where proxies hand on what clients send, and do not ask
			return g.misplaced
		}
		return nil
	}
	if g.Login != nil && serve == nil {
		serve = g.Login.serve(g, r.URL.Path)
	}
	if serve == nil && g.metadata != nil && is(g.metadata.path) {
		serve = g.serveMetadata
	}
	return serve
}
