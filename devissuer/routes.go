package devissuer

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// route lays out the endpoints. The discovery document answers at every place
// where a client may look for it: RFC 8414 §3.1 inserts the well-known part
// before the issuer's path, OpenID Connect Discovery §4 appends it, and each
// is met with either name. Of a host, only the forms that are routed to this
// handler answer, of course.
func (s *Server) route() error {
	base := strings.TrimRight(s.issuer.Path, "/")
	s.routes = map[string]http.HandlerFunc{
		base + "/jwks":  readOnly(s.serveKeys),
		base + "/token": s.serveToken,
	}
	for _, name := range []string{"oauth-authorization-server", "openid-configuration"} {
		s.routes["/.well-known/"+name+base] = readOnly(s.serveMetadata)
		s.routes[base+"/.well-known/"+name] = readOnly(s.serveMetadata)
	}
	if s.logsIn() {
		s.routes[base+"/authorize"] = s.serveAuthorization
		s.routes[base+"/logout"] = readOnly(s.serveEnd)
	}
	for _, path := range s.opts.TokenPaths {
		if err := checkTokenPath(path); err != nil {
			return err
		}
		if _, taken := s.routes[path]; taken {
			return fmt.Errorf("token_path %q: the path is taken already", path)
		}
		s.routes[path] = s.serveToken
	}
	return s.describe(base)
}

// describe writes the discovery document, once.
func (s *Server) describe(base string) error {
	root := s.issuer.Scheme + "://" + s.issuer.Host + base
	var scopes []string
	for _, c := range s.opts.Clients {
		scopes = append(scopes, c.Scopes...)
	}
	slices.Sort(scopes)
	methods := []string{"client_secret_basic", "client_secret_post"}
	if slices.ContainsFunc(s.opts.Clients, func(c Client) bool { return c.Secret == "" }) {
		methods = append(methods, "none")
	}
	doc := map[string]any{
		"issuer":                                s.opts.Issuer,
		"jwks_uri":                              root + "/jwks",
		"token_endpoint":                        root + "/token",
		"grant_types_supported":                 []string{grantClient, grantRefresh},
		"token_endpoint_auth_methods_supported": methods,
		// RFC 8414 §2 requires the member; without an authorization
		// endpoint there is nothing to list.
		"response_types_supported": []string{},
	}
	if s.logsIn() {
		scopes = append(scopes, "openid", "offline_access")
		slices.Sort(scopes)
		maps.Copy(doc, map[string]any{
			"authorization_endpoint":                         root + "/authorize",
			"end_session_endpoint":                           root + "/logout",
			"grant_types_supported":                          []string{grantClient, grantRefresh, grantCode},
			"response_types_supported":                       []string{"code"},
			"code_challenge_methods_supported":               []string{"S256"},
			"authorization_response_iss_parameter_supported": true,
			"subject_types_supported":                        []string{"public"},
			"id_token_signing_alg_values_supported":          []string{s.opts.Algorithm},
		})
	}
	if len(scopes) > 0 {
		doc["scopes_supported"] = slices.Compact(scopes)
	}
	var err error
	if s.metadata, err = json.Marshal(doc); err != nil {
		return fmt.Errorf("encoding the discovery document: %w", err)
	}
	return nil
}

// logsIn reports whether any client lets browsers log in.
func (s *Server) logsIn() bool {
	for _, c := range s.clients {
		if len(c.redirectURIs) > 0 {
			return true
		}
	}
	return false
}

// Owns reports whether the path is one of the server's endpoints.
func (s *Server) Owns(path string) bool {
	_, ok := s.routes[path]
	return ok
}

// ServeHTTP answers the server's endpoints, and 404 for everything else.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serve, ok := s.routes[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	serve(w, r)
}

func (s *Server) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(s.metadata) // the client's hanging up is its own affair
}

func (s *Server) serveKeys(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(jwssign.Set(s.published()...))
}

// readOnly lets only GET and HEAD through, from scripts of any origin too.
func readOnly(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if tokenrequest.AllowOrigins(w, r, "GET, HEAD") {
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD, OPTIONS")
			http.Error(w, "only GET and HEAD are answered here", http.StatusMethodNotAllowed)
			return
		}
		serve(w, r)
	}
}
