// Package upstream is the way back of what was forwarded: nothing for shared
// caches, and no cookie of the gateway's that an upstream sets.
package upstream

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/credential"
)

// writer is the way back of what was forwarded. It keeps shared caches from
// showing one person's answer to another, and an upstream from setting our
// cookies. Whatever is written passes through at once.
type writer struct {
	caddyhttp.ResponseWriterWrapper
	places  *credential.Places
	private bool
	vary    string   // the header that chose the answer, beside the URL
	own     []string // cookies that we set ourselves
	sent    bool
}

// Forward lets next answer a request that was admitted by what was found in
// places. A program with a token in the Authorization header gets its answer as
// it is: caches know that header (RFC 9111 §3.5), and it has no cookies that
// could be set. browser is what [FromBrowser] said of the request as it came.
func Forward(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, places *credential.Places, found credential.Presented, browser bool) error {
	if found.InAuthorization() && !browser {
		return next.ServeHTTP(w, r)
	}
	a := &writer{places: places, own: slices.Clone(w.Header()["Set-Cookie"])}
	a.ResponseWriter = w
	a.private, a.vary = found.Hidden()
	err := next.ServeHTTP(a, r)
	if !a.sent { // an empty answer, or one that handle_errors makes
		a.finish()
	}
	return err
}

// FromBrowser reports whether a browser may be asking: one that keeps cookies.
func FromBrowser(h http.Header) bool {
	return len(h["Cookie"]) > 0 || len(h["Sec-Fetch-Site"]) > 0 || len(h["Origin"]) > 0
}

// finish leaves the headers as the client may see them.
func (a *writer) finish() {
	h := a.Header()
	if set := h["Set-Cookie"]; len(set) > 0 {
		left := slices.DeleteFunc(set, func(field string) bool { return a.places.SetsOurs(field) && !slices.Contains(a.own, field) })
		if h["Set-Cookie"] = left; len(left) == 0 {
			delete(h, "Set-Cookie")
		}
	}
	if a.private {
		keepPrivate(h, a.vary)
	}
}

// WriteHeader sends the headers, those of a status before the last one too.
func (a *writer) WriteHeader(status int) {
	if !a.sent {
		a.finish()
		a.sent = status >= http.StatusOK || status == http.StatusSwitchingProtocols
	}
	a.ResponseWriterWrapper.WriteHeader(status)
}

// begin is for what sends the headers without saying so.
func (a *writer) begin() {
	if !a.sent {
		a.finish()
		a.sent = true
	}
}

func (a *writer) Write(p []byte) (int, error) {
	a.begin()
	return a.ResponseWriterWrapper.Write(p)
}

// ReadFrom keeps the way open by which files are sent.
func (a *writer) ReadFrom(r io.Reader) (int64, error) {
	a.begin()
	return a.ResponseWriterWrapper.ReadFrom(r)
}

// Flush is for handlers that look for an http.Flusher.
func (a *writer) Flush() { _ = a.FlushError() }

// FlushError is what http.ResponseController looks for.
func (a *writer) FlushError() error {
	a.begin()
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Hijack hands the connection over, for WebSockets.
func (a *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.begin()
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// Interface guards
var (
	_ http.Flusher  = (*writer)(nil)
	_ http.Hijacker = (*writer)(nil)
	_ http.Pusher   = (*writer)(nil)
	_ io.ReaderFrom = (*writer)(nil)
)
