package tokenendpoint

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Paths are all that the gateway answers itself.
func (e *TokenEndpoint) Paths() []string {
	paths := slices.Clone(e.Path)
	for _, path := range []string{e.RevocationEndpoint, e.DeviceAuthorizationEndpoint} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	return paths
}

// Handler finds what answers a request to a path of the endpoint's, or nil.
func (e *Endpoint) Handler(r *http.Request) caddyhttp.HandlerFunc {
	if e == nil {
		return nil
	}
	// Case does not count, as it does not for Caddy's own path matcher.
	is := func(path string) bool { return path != "" && strings.EqualFold(path, r.URL.Path) }
	switch b := e.Block; {
	case slices.ContainsFunc(b.Path, is):
		return e.answering((*call).serveToken)
	case is(b.RevocationEndpoint):
		return e.answering((*call).serveRevocation)
	case is(b.DeviceAuthorizationEndpoint):
		return e.answering((*call).serveDeviceAuthorization)
	}
	return nil
}
