package resource

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Document is what the metadata say. Nothing may stand in it that is not so:
// clients ask for every scope that they find here.
type Document struct {
	Resource string   `json:"resource"` // a URL that was checked
	Servers  []string `json:"authorization_servers,omitempty"`
	Scopes   []string `json:"scopes_supported,omitempty"`         // that every request needs, in any order
	Methods  []string `json:"bearer_methods_supported,omitempty"` // of RFC 6750 §2: header, body, query
	Name     string   `json:"resource_name,omitempty"`
}

// Metadata are a document, made once and served from memory. Nil: there is no
// resource.
type Metadata struct {
	paths   []string
	address string
	body    []byte
}

// New makes the metadata of a resource.
func New(d Document) *Metadata {
	slices.Sort(d.Scopes)
	d.Scopes = slices.Compact(d.Scopes)
	body, _ := json.Marshal(d) // plain strings always encode
	m := &Metadata{paths: Paths(d.Resource), body: append(body, '\n')}
	u, _ := url.Parse(d.Resource) // which was checked
	m.address = u.Scheme + "://" + u.Host + m.paths[0]
	return m
}

// Address is the document's URL as clients see it, for challenges (RFC 9728
// §5.1), or "" without a resource.
func (m *Metadata) Address() string {
	if m == nil {
		return ""
	}
	return m.address
}

// Handler is what answers at the path of r, or nil if that is another path. Case
// does not count, as it does not for Caddy's own path matcher.
func (m *Metadata) Handler(r *http.Request) func(http.ResponseWriter, *http.Request) error {
	if m == nil || !slices.ContainsFunc(m.paths, func(path string) bool { return strings.EqualFold(path, r.URL.Path) }) {
		return nil
	}
	return m.serve
}

// serve answers requests for the document. It is public, and scripts of any
// origin may read it: browsers are where some clients run.
func (m *Metadata) serve(w http.ResponseWriter, r *http.Request) error {
	const methods = "GET, HEAD, OPTIONS"
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("Content-Length", strconv.Itoa(len(m.body)))
		w.WriteHeader(http.StatusOK)
		if r.Method == http.MethodGet {
			_, _ = w.Write(m.body) // the client has gone, if anything
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
