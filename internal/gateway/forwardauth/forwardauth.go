// Package forwardauth reads the question of another proxy about one of its
// requests, and answers it.
package forwardauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/lenient"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// ForwardAuth makes the gateway the judge for another proxy: each request is a
// question about the one that the proxy holds. It is answered and never
// forwarded: 200 with the identity in headers, or the refusal.
//
// The method and the target that are judged come from two headers, which the
// proxy must set on every question. What is not in them (host, addresses, TLS)
// is that of the question.
type ForwardAuth struct {
	// The proxies that may ask: addresses, networks, or unix for a socket. It
	// is the connection's own address that counts, never X-Forwarded-For.
	// Questions of others are refused. What is listed can have any method and
	// target judged: list the proxies and nothing else.
	From []string `json:"from,omitempty"`

	// The header with the method. Default: X-Forwarded-Method.
	Method string `json:"method,omitempty"`

	// The header with the path and the query. Default: X-Forwarded-Uri. In
	// X-Original-Url a scheme and a host may stand before them, as ingress-nginx
	// writes it; they are not looked at.
	URI string `json:"uri,omitempty"`

	// The statuses of refusals that the proxy can pass on, 401 among them; any
	// other refusal becomes 401. Failures stay 503. With login a person's click is
	// answered with 302 to where a log-in begins; without 302 in the list it is 401
	// with that address in Location, for the proxy to make a redirect of. Default:
	// 302 with login, 400, 401, 403 and 425.
	Statuses []int `json:"statuses,omitempty"`

	peers       []netip.Prefix
	unix        bool
	method, uri string
}

// The reasons of forward_auth.
const (
	reasonPeer    = "forward_peer"
	reasonHeaders = "forward_headers"
)

// IsQuestion reports whether r is another proxy's question and no request of a
// client: to a question our 200 would mean that its request may pass.
func (f *ForwardAuth) IsQuestion(r *http.Request) bool {
	return f != nil && (len(r.Header[f.method]) > 0 || len(r.Header[f.uri]) > 0)
}

// Misplaced refuses a question at a path where clients are served. It may be a
// client's own, whose request the proxy handed on: the answer would show it the
// access token behind its reference.
func (f *ForwardAuth) Misplaced(r *http.Request) error {
	f.strip(r.Header)
	return f.Passable(rejectQuestion(reasonHeaders, "a question at a path where clients are served; the proxy must take both headers off what it hands on there"))
}

// strip takes the headers off that say what a question is about.
func (f *ForwardAuth) strip(h http.Header) {
	lenient.Strip(h, []string{lenient.Fold(f.method), lenient.Fold(f.uri)})
}

// Restore makes r the request that is asked about, or answers a rejection. It
// changes r itself and not a copy: placeholders, which matchers may use, look at
// this one. The two headers are off it afterwards, either way.
func (f *ForwardAuth) Restore(r *http.Request) error {
	methods, uris := r.Header[f.method], r.Header[f.uri]
	hint := f.hint(r.Header)
	f.strip(r.Header) // whatever they say: no matcher behind this may take their word
	switch {
	case !f.MayAsk(r):
		return rejectQuestion(reasonPeer, fmt.Sprintf("%s is not in from", r.RemoteAddr))
	case len(methods) != 1 || len(uris) != 1:
		return rejectQuestion(reasonHeaders, fmt.Sprintf("%d fields %s and %d fields %s; the proxy must set one of each%s", len(methods), f.method, len(uris), f.uri, hint))
	case !policy.IsMethod(methods[0]):
		return rejectQuestion(reasonHeaders, f.method+" is not one method")
	}
	asked := f.pathOf(uris[0], r.Header)
	target, err := parseTarget(asked)
	if err != nil {
		return rejectQuestion(reasonHeaders, f.uri+": "+err.Error())
	}
	r.Method, r.URL, r.RequestURI = methods[0], target, asked
	return nil
}

// MayAsk reports whether r comes from one of the proxies that may ask, by the
// connection's own address.
func (f *ForwardAuth) MayAsk(r *http.Request) bool {
	if f == nil {
		return false
	}
	if r.RemoteAddr == "@" || r.RemoteAddr == "" {
		return f.unix // the other end of a socket has no address
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	address := peer.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(f.peers, func(p netip.Prefix) bool { return p.Contains(address) })
}

// parseTarget reads a path and a query as the server would from a request
// line (RFC 9112 §3.2.1). The errors never hold what it says.
func parseTarget(text string) (*url.URL, error) {
	if !strings.HasPrefix(text, "/") {
		return nil, errors.New("not a path")
	}
	// The server stops at a space, and the upstream gets what the client sent:
	// some read "/admin#x" as /admin.
	if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '#' }) {
		return nil, errors.New("a space, a control character or #")
	}
	target, err := url.ParseRequestURI(text)
	if err != nil {
		return nil, errors.New("not a path with a query")
	}
	return target, nil
}

// Passable gives a refusal a status that the proxy can pass on: 401 where it cannot
// pass on its own. Failures stay as they are.
func (f *ForwardAuth) Passable(err error) error {
	rejection, ok := errors.AsType[*verdict.Rejection](err)
	if !ok || len(f.Statuses) == 0 || slices.Contains(f.Statuses, rejection.Status) {
		return err
	}
	passed := *rejection
	passed.Status = http.StatusUnauthorized
	return &passed
}

// LeadingStatus is that of an answer which leads a browser to log in.
func (f *ForwardAuth) LeadingStatus() int {
	if len(f.Statuses) == 0 || slices.Contains(f.Statuses, http.StatusFound) {
		return http.StatusFound
	}
	return http.StatusUnauthorized
}

// Pass marks an answer as a yes, which no cache may keep.
func Pass(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set(verdictHeader, verdictPass)
}

func rejectQuestion(reason, detail string) *verdict.Rejection {
	return &verdict.Rejection{
		Status: http.StatusBadRequest, Reason: reason, Code: verdict.InvalidRequest,
		Description: "the proxy in front does not say which request this is about", Detail: detail,
	}
}
