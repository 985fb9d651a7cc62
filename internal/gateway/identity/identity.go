// Package identity is what the upstream learns of the caller: headers that only
// the gateway can set, and placeholders.
package identity

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"

	"github.com/caddyoauth/caddyoauth/internal/lenient"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Headers is how the upstream learns who calls: headers that only the gateway
// can set, and placeholders.
type Headers struct {
	copies []claimCopy
	names  []string // folded names of the headers that are ours
	lists  []string

	// Folded names that no trailer may have: ours, and those that mean
	// something only in front of the body (RFC 9110 §6.5.1).
	trailers []string
}

type claimCopy struct {
	claim, header string
	list          bool // the claim is one
}

// How claims are written into headers.
const (
	plain token.Form = 1 + iota
	list             // of a claim that is a list
)

// reserved are headers that carry the request itself.
var reserved = []string{
	"authorization", "connection", "content-length", "content-type", "cookie", "early-data", "host", "proxy-authorization",
	"http2-settings", "te", "trailer", "transfer-encoding", "upgrade",
}

// New copies claims into headers, and keeps those that are lists. No
// trailer may have the name of such a header, nor one of noTrailers.
func New(copyClaims, listClaims []string, noTrailers ...string) (*Headers, error) {
	id := &Headers{lists: listClaims, trailers: slices.Clone(reserved)}
	if listClaims == nil {
		id.lists = []string{"groups", "roles"}
	}
	for _, claim := range listClaims {
		if err := token.CheckPath(claim); err != nil {
			return nil, fmt.Errorf("list_claims: %w", err)
		}
	}
	for _, arg := range copyClaims {
		claim, header := arg, strings.NewReplacer("_", "-", ".", "-").Replace(arg)
		if end := strings.LastIndexByte(arg, '>'); end >= 0 { // a claim's name may have one, a header's never
			claim, header = arg[:end], arg[end+1:]
		}
		folded := lenient.Fold(header)
		switch {
		case claim == "":
			return nil, fmt.Errorf("copy_claims %s: no claim; write claim or claim>Header", arg)
		case token.CheckPath(claim) != nil:
			return nil, fmt.Errorf("copy_claims %s: %w", arg, token.CheckPath(claim))
		case !httpguts.ValidHeaderFieldName(header):
			return nil, fmt.Errorf("copy_claims %s: %q cannot be a header's name; write claim>Header", arg, header)
		case strings.ContainsAny(header, "_."):
			return nil, fmt.Errorf("copy_claims %s: servers confuse _ and . in header names with -; use - in %s", arg, header)
		case slices.Contains(reserved, folded):
			return nil, fmt.Errorf("copy_claims %s: the header %s has a use of its own", arg, header)
		case slices.Contains(id.names, folded):
			return nil, fmt.Errorf("copy_claims %s: the header %s is there twice", arg, header)
		}
		id.names = append(id.names, folded)
		id.trailers = append(id.trailers, folded)
		id.copies = append(id.copies, claimCopy{claim, http.CanonicalHeaderKey(header), slices.Contains(id.lists, claim)})
	}
	for _, name := range noTrailers {
		id.trailers = append(id.trailers, lenient.Fold(name))
	}
	return id, nil
}

// Own keeps a header for the gateway's own use: what a client sends under its name is
// removed, as that of an identity header is.
func (id *Headers) Own(header string) error {
	folded := lenient.Fold(header)
	if slices.Contains(id.names, folded) {
		return fmt.Errorf("copy_claims: the header %s has a use of its own", header)
	}
	id.names = append(id.names, folded)
	id.trailers = append(id.trailers, folded)
	return nil
}

// Strip removes what a client sent under our names, in every spelling that
// some server behind us may take for them, from the headers, from the trailers
// and from Connection (naming a header there would have the proxy delete it).
// There no name of a stripped wish for another protocol stays behind either.
func (id *Headers) Strip(r *http.Request) {
	if fields := r.Header["Connection"]; len(fields) > 0 {
		id.stripConnection(r.Header, fields)
	}
	if len(id.names) > 0 {
		lenient.Strip(r.Header, id.names)
	}
	if len(r.Trailer) > 0 {
		lenient.Strip(r.Trailer, id.trailers)
		// The server adds trailers when the body ends, declared or not.
		r.Body = &trailerGuard{ReadCloser: r.Body, trailer: r.Trailer, names: id.trailers}
	}
}

func (id *Headers) stripConnection(h http.Header, fields []string) {
	var kept []string
	for _, field := range fields {
		for option := range strings.SplitSeq(field, ",") {
			option = strings.TrimSpace(option)
			switch folded := lenient.Fold(option); {
			case option == "", folded == "authorization", folded == "early-data", slices.Contains(id.names, folded):
			case folded == "upgrade" && len(h["Upgrade"]) == 0, folded == "http2-settings" && len(h["Http2-Settings"]) == 0:
			default:
				kept = append(kept, option)
			}
		}
	}
	h.Del("Connection")
	if len(kept) > 0 {
		h.Set("Connection", strings.Join(kept, ", "))
	}
}

// trailerGuard strips once more at the end of the body.
type trailerGuard struct {
	io.ReadCloser
	trailer http.Header
	names   []string
}

func (g *trailerGuard) Read(p []byte) (int, error) {
	n, err := g.ReadCloser.Read(p)
	if err == io.EOF {
		lenient.Strip(g.trailer, g.names)
	}
	return n, err
}

// Headers sets the identity headers, all or, with an error, none.
func (id *Headers) Headers(h http.Header, p *token.Principal) error {
	values := make([]string, len(id.copies))
	for i, c := range id.copies {
		form, write := plain, headerValue
		if c.list {
			form, write = list, listValue
		}
		value, err := p.Text(c.claim, form, write)
		if err != nil {
			return &verdict.Rejection{
				Status: http.StatusUnauthorized, Reason: verdict.UnsafeClaim, Code: verdict.InvalidToken, Issuer: p.Issuer,
				Description: "the access token is not valid", Detail: fmt.Sprintf("claim %s: %v", c.claim, err),
			}
		}
		values[i] = value
	}
	for i, c := range id.copies {
		if values[i] != "" {
			h[c.header] = values[i : i+1 : i+1]
		}
	}
	return nil
}

// Each names the headers and the claims that they are made of, in the order of
// the configuration.
func (id *Headers) Each(do func(claim, header string)) {
	for _, c := range id.copies {
		do(c.claim, c.header)
	}
}

// Answer tells another proxy what its upstream may see: who calls, and the token,
// with an access token in place of a reference token. What is not in it the
// proxy must remove.
func (id *Headers) Answer(to, from http.Header) {
	for _, c := range id.copies {
		if value := from[c.header]; len(value) > 0 {
			to[c.header] = value
		}
	}
	if value := from["Authorization"]; len(value) > 0 {
		to["Authorization"] = value
	}
}

// Takes reports whether a header, in any spelling, has a use of its own here: it
// carries the request, or the identity.
func (id *Headers) Takes(header string) bool {
	folded := lenient.Fold(header)
	return slices.Contains(reserved, folded) || slices.Contains(id.names, folded)
}

// PrincipalVar is the variable of a request that holds its [*token.Principal].
const PrincipalVar = "oauth_principal"

// Introduce makes the principal known to placeholders, and through them to
// matchers, handlers and the access log behind us. nil is a request without a
// token: it gets placeholders that are empty, and lists that are.
func (id *Headers) Introduce(r *http.Request, p *token.Principal) {
	vars := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	_, mapped := vars[PrincipalVar]
	if p == nil {
		if mapped {
			return // a gateway around this one knows who it is
		}
		p = &token.Principal{}
	} else {
		// What another handler said of the user comes first in a replacer,
		// and would speak for ours.
		repl.DeleteByPrefix(userPrefix)
	}
	p.Lists = id.lists
	if !mapped {
		repl.Map(func(key string) (any, bool) {
			name, ok := strings.CutPrefix(key, userPrefix)
			if !ok {
				return nil, false
			}
			// With one gateway inside another the innermost has set it last.
			return placeholder(vars[PrincipalVar].(*token.Principal), name), true
		})
	}
	vars[PrincipalVar] = p
}

const userPrefix = "http.auth.user."

// placeholder is a claim as a Go value: numbers that CEL can compare, and
// lists that are lists even when the token has none. With nil, Caddy's CEL
// would fail on "in", and the client would get a 500.
func placeholder(p *token.Principal, name string) any {
	if name == "id" {
		return p.Subject
	}
	claim, _ := p.Claim(name)
	if slices.Contains(p.Lists, name) {
		return token.Plain(listOf(claim))
	}
	return token.Plain(claim)
}

// listOf is a claim that is a list for who reads it: the names that an object
// grants by its keys, and whatever else it is as its one element.
func listOf(claim any) any {
	switch v := claim.(type) {
	case nil:
		return []any{}
	case []any:
		return v
	case map[string]any:
		list := []any{}
		for _, name := range token.Granted(v) {
			list = append(list, name)
		}
		return list
	}
	return []any{claim}
}
