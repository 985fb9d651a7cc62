package login

import (
	"net/http"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/tunnel"
)

// sameOrigin reports whether a page of this very origin has sent the request.
// A client that sends neither header is no browser of these years.
func sameOrigin(r *http.Request) bool {
	if site := r.Header["Sec-Fetch-Site"]; len(site) > 0 {
		return len(site) == 1 && site[0] == "same-origin"
	}
	origin := r.Header["Origin"]
	return len(origin) == 1 && origin[0] == siteURLOf(r).origin()
}

// shakesHands reports whether a browser opens a WebSocket (RFC 6455 §4.1). A proxy
// that asks about it may leave Upgrade out of its question.
func shakesHands(r *http.Request) bool {
	return len(r.Header["Sec-Websocket-Key"]) > 0 || len(r.Header["Sec-Websocket-Version"]) > 0
}

// navigates reports whether a person looks at what comes back, and only wants to
// see something: such a request may be sent to log in, and made again afterwards.
func navigates(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && looked(r)
}

// looked reports whether a person looks at what comes back: after a click, or
// after a form was sent. A service worker that passes a navigation on has its
// destination empty. Browsers that say neither ask for HTML.
func looked(r *http.Request) bool {
	if tunnel.Opens(r) {
		return false
	}
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	if mode != "" || dest != "" {
		return mode == "navigate" && (dest == "document" || dest == "empty")
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
