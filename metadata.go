package caddyoauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/as"
)

// resourceMetadata is the document that tells clients of the protected resource
// (RFC 9728): made once, and served from memory.
type resourceMetadata struct {
	path string // where it is served
	url  string // the same as clients see it, for challenges
	body []byte
}

// address is what challenges name, or "" without a resource.
func (m *resourceMetadata) address() string {
	if m == nil {
		return ""
	}
	return m.url
}

const wellKnownResource = "/.well-known/oauth-protected-resource"

// metadataPath inserts the well-known part before the path of a resource that
// was checked. A slash that is all of its path goes (RFC 9728 §3.1).
func metadataPath(resource string) string {
	u, err := url.Parse(resource)
	if err != nil || u.Path == "/" {
		return wellKnownResource
	}
	return wellKnownResource + u.Path
}

// plainResource is the form of a resource: what every client, which writes it
// anew as a URL, writes in the same letters. It is compared as text.
var plainResource = regexp.MustCompile(`^https?://[a-z0-9._:\[\]-]+(/[A-Za-z0-9._~!$&'()+,;=:@-]+)*/?$`)

func (c *Config) checkResource() error {
	if c.Resource == "" {
		return nil
	}
	return checkResource(c.Resource, slices.ContainsFunc(c.Issuer, func(i *Issuer) bool { return i.InsecureHTTP }))
}

func checkResource(resource string, allowHTTP bool) error {
	if strings.ContainsAny(resource, "{}") {
		return fmt.Errorf("resource %.200q: it takes no placeholder, for its path decides where the metadata are; {$NAME} works in a Caddyfile", resource)
	}
	if err := as.CheckURL(resource, allowHTTP); err != nil {
		return fmt.Errorf("resource: %w", err)
	}
	u, err := url.Parse(resource)
	dots := func(segment string) bool { return segment == "." || segment == ".." }
	switch {
	case err != nil || !plainResource.MatchString(resource) || slices.ContainsFunc(strings.Split(u.Path, "/"), dots):
		return fmt.Errorf("resource %.200q: write a URL with its host in lower case, a plain path, and no query or fragment", resource)
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80", strings.HasSuffix(u.Host, ":"):
		return fmt.Errorf("resource %.200q: leave the port out that goes without saying, as clients do", resource)
	}
	return nil
}

// describe makes the document. It says nothing that is not so: scopes are those
// that every request needs, since clients ask for all that they find here; what
// only some requests need, the challenge for those tells.
func (g *Gateway) describe() *resourceMetadata {
	if g.Resource == "" {
		return nil
	}
	doc := struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported,omitempty"`
		Methods  []string `json:"bearer_methods_supported,omitempty"`
		Name     string   `json:"resource_name,omitempty"`
	}{Resource: g.Resource, Name: g.realm}
	for _, t := range g.validator.trusts {
		doc.Servers = append(doc.Servers, t.profile.Issuer)
	}
	always := g.Require
	if len(g.Issuer) == 1 {
		always = g.all // what each token needs; with several issuers those of one do not
	}
	for _, q := range always {
		if len(q.matchers) == 0 {
			doc.Scopes = append(doc.Scopes, q.Scope...)
		}
	}
	slices.Sort(doc.Scopes)
	doc.Scopes = slices.Compact(doc.Scopes)
	for _, at := range g.places {
		switch { // the methods of RFC 6750 §2; other places have no name there
		case at.header == "Authorization":
			doc.Methods = append(doc.Methods, "header")
		case at.query == "access_token":
			doc.Methods = append(doc.Methods, "query")
		}
	}
	body, _ := json.Marshal(doc) // plain strings always encode
	m := &resourceMetadata{path: metadataPath(g.Resource), body: append(body, '\n')}
	u, _ := url.Parse(g.Resource) // which was checked
	m.url = u.Scheme + "://" + u.Host + m.path
	return m
}

// misplaced refuses a question at an endpoint of clients. It may be a client's own,
// whose request the proxy handed on: the answer would show it the access token
// behind its reference.
func (g *Gateway) misplaced(w http.ResponseWriter, r *http.Request) error {
	return g.quietly(func(w http.ResponseWriter, r *http.Request) error {
		stripFrom(r.Header, []string{fold(g.ForwardAuth.method), fold(g.ForwardAuth.uri)})
		err := g.ForwardAuth.passable(rejectQuestion(forwardHeaders, "a question at a path where clients are served; the proxy must take both headers off what it hands on there"))
		writeRefusal(w, r, g.account(w, r, err), err)
		return nil
	})(w, r)
}

// isQuestion tells another proxy's question from a request to a path of our own.
// To a question our 200 would mean that its request may pass.
func (g *Gateway) isQuestion(r *http.Request) bool {
	return g.ForwardAuth != nil && (len(r.Header[g.ForwardAuth.method]) > 0 || len(r.Header[g.ForwardAuth.uri]) > 0)
}

// serveMetadata answers requests for the document. It is public, and scripts of
// any origin may read it: browsers are where some clients run.
func (g *Gateway) serveMetadata(w http.ResponseWriter, r *http.Request) error {
	if g.exposes(r) {
		caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	}
	const methods = "GET, HEAD, OPTIONS"
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("Content-Length", strconv.Itoa(len(g.metadata.body)))
		w.WriteHeader(http.StatusOK)
		if r.Method == http.MethodGet {
			_, _ = w.Write(g.metadata.body) // the client has gone, if anything
		}
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", "*") // MCP clients send MCP-Protocol-Version
		h.Set("Access-Control-Max-Age", "3600")
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", methods)
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
	return nil
}
