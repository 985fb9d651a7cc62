package forwardauth

import (
	"net/http"
	"strings"
)

// The headers of ingress-nginx. They are not read by themselves: a client may send
// them to a proxy that sets others.
const (
	originalMethod = "X-Original-Method"
	originalURL    = "X-Original-Url"
)

// hint knows a proxy that sets other headers than those that are read.
func (f *ForwardAuth) hint(h http.Header) string {
	if len(h[originalMethod]) != 1 || len(h[originalURL]) != 1 || f.method == originalMethod && f.uri == originalURL {
		return ""
	}
	return `. It sets those of ingress-nginx: write "method X-Original-Method" and "uri X-Original-URL" in forward_auth`
}

// pathOf is what a request line had, of a URL that nginx has put together of the
// scheme, the Host and that ($scheme://$http_host$request_uri). It lets no slash in
// Host pass, so the first one behind the scheme begins the path: unless there is
// none, as in "GET http://host?a=/b", where nginx forwards /?a=/b. What stands
// before it could be such a query, or a Host that is none: then it is no answer.
//
// What it says of the address that the browser sees is written down where that is
// looked for: ingress-nginx says it nowhere else, and leaves there what a client wrote.
func (f *ForwardAuth) pathOf(text string, h http.Header) string {
	if f.uri != originalURL {
		return text
	}
	if scheme, behind, ok := strings.Cut(text, "://"); ok && !strings.HasPrefix(text, "/") {
		if n := strings.IndexAny(behind, "/?#"); n >= 0 && behind[n] == '/' {
			if h.Set("X-Forwarded-Host", behind[:n]); h.Get("X-Forwarded-Proto") == "" {
				h.Set("X-Forwarded-Proto", scheme)
			}
			return behind[n:]
		}
	}
	return text
}
