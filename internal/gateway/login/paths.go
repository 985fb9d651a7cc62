package login

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Paths are those that a site answers itself, as Caddy's path matcher has them.
func (l *Login) Paths() []string { return []string{l.PathPrefix() + "/*"} }

// The paths below the prefix.
const (
	pathLogin       = "/login"
	pathCallback    = "/callback"
	pathLogout      = "/logout"
	pathLoggedOut   = "/logged_out"
	pathBackchannel = "/backchannel_logout"
	pathSessions    = "/sessions"
)

// Handler finds what answers a request to a path of the site's own, or nil.
// Queries of these paths hold codes and states: none is logged as it came.
func (s *Site) Handler(r *http.Request) caddyhttp.HandlerFunc {
	if s == nil || !s.Block.Owns(r.URL.Path) {
		return nil
	}
	switch strings.ToLower(r.URL.Path[len(s.Block.PathPrefix()):]) {
	case pathLogin:
		return s.serveLogin
	case pathCallback:
		return s.serveCallback
	case pathLogout:
		return s.serveLogout
	case pathLoggedOut:
		return serveLoggedOut
	case pathBackchannel:
		return s.serveBackchannel
	case pathSessions:
		return s.serveSessions
	}
	return serveNothing
}

func serveNothing(w http.ResponseWriter, r *http.Request) error {
	return writePage(w, r, http.StatusNotFound, &page{text: textNotFound, Home: true})
}
