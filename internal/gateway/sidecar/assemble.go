package sidecar

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/resource"
)

// defaultGrace is how long requests may take that run when the process is told
// to stop.
const defaultGrace = 10 * time.Second

// together looks at what no variable can tell alone, and puts the parts of the
// gateway together.
func (env *environment) together(s *sidecar) {
	for _, address := range s.issuer.URL {
		if err := s.issuer.CheckURL(address); err != nil {
			env.fault("OAUTH_ISSUER: %s", strings.TrimPrefix(inEnvironment(err), "issuer: "))
		}
	}
	if env.given("OAUTH_RESOURCE") && s.gateway.Resource != "" {
		if err := resource.Check(s.gateway.Resource, s.issuer.InsecureHTTP); err != nil {
			env.fault("OAUTH_RESOURCE: %s", strings.TrimPrefix(inEnvironment(err), "resource: "))
		}
	}
	env.exclude("OAUTH_RESOURCE", "OAUTH_INSECURE_ANY_AUDIENCE", "with a resource, tokens are for it", s.issuer.InsecureAnyAudience, !s.gateway.ResourceNotInAud)
	env.exclude("OAUTH_METADATA", "OAUTH_JWKS", "keys from a file are not fetched", issuers.IsKeyFile(s.issuer.JWKS))
	env.exclude("OAUTH_BEARER_TOKEN_FILE", "OAUTH_JWKS", "keys from a file are not fetched", issuers.IsKeyFile(s.issuer.JWKS))
	env.exclude("OAUTH_CLIENT_ID_AS_AUDIENCE", "OAUTH_INSECURE_ANY_AUDIENCE", "it says which clients' tokens are taken, by OAUTH_AUDIENCE", s.issuer.ClientIDAsAudience, s.issuer.InsecureAnyAudience)
	env.exclude("OAUTH_BEARER_TOKEN_FILE", "OAUTH_INSECURE_HTTP", "whoever is on the way could read the token", s.issuer.InsecureHTTP)
	env.exclude("OAUTH_AUDIENCE", "OAUTH_INSECURE_ANY_AUDIENCE", "any audience is every audience", s.issuer.InsecureAnyAudience)
	env.exclude("OAUTH_INSECURE_ANY_TOKEN", "OAUTH_AUDIENCE", "it is for OAUTH_INSECURE_ANY_AUDIENCE, where no audience tells tokens apart", s.asking.InsecureAnyToken)
	env.exclude("OAUTH_TOKEN_TYPE", "OAUTH_INSECURE_ID_TOKENS", "an ID token is never at+jwt", s.issuer.InsecureIDTokens)
	env.exclude("OAUTH_CLIENT_SECRET", "OAUTH_CLIENT_KEY_FILE", "a client proves itself in one way")
	env.exclude("OAUTH_JWKS", "OAUTH_TOKEN_ENDPOINT", "without metadata nobody can tell where the issuer's token endpoint is", !s.issuer.HasMetadata())
	env.exclude("OAUTH_JWKS", "OAUTH_CLIENT_ID", "without metadata nobody can tell where the issuer's token endpoint is", !s.issuer.HasMetadata(), s.introspect == nil)
	env.exclude("OAUTH_TRUST_POOL_FILE", "OAUTH_JWKS", "a file is not fetched", issuers.IsKeyFile(s.issuer.JWKS))
	env.exclude("READY_GRACE", "HEALTH_LISTEN", "nobody can ask", s.health == off)
	if env.given("OAUTH_CLIENT_ID") && !env.given("OAUTH_CLIENT_SECRET") && !env.given("OAUTH_CLIENT_KEY_FILE") {
		env.fault("OAUTH_CLIENT_ID needs OAUTH_CLIENT_SECRET (or OAUTH_CLIENT_SECRET_FILE) or OAUTH_CLIENT_KEY_FILE")
	}
	if s.introspect != nil && !env.given("OAUTH_CLIENT_ID") {
		env.fault("OAUTH_INTROSPECT needs OAUTH_CLIENT_ID: the issuer answers nobody who does not prove who he is")
	}
	if s.listen == s.health {
		env.fault("LISTEN and HEALTH_LISTEN are both %s; health needs a listener of its own", s.listen)
	}
	if s.admin != off && (s.admin == s.listen || s.admin == s.health || slices.Contains(s.upstreams, s.admin)) {
		env.fault("ADMIN is %s, which is LISTEN, HEALTH_LISTEN or UPSTREAM too; it needs a socket of its own", s.admin)
	}
	for _, dial := range s.upstreams {
		switch {
		case isAt(s.listen, dial):
			env.fault("UPSTREAM is %s, where the sidecar itself listens; change LISTEN or the application's port", dial)
		case s.health != off && isAt(s.health, dial):
			env.fault("UPSTREAM is %s, where the sidecar itself listens; change HEALTH_LISTEN or the application's port", dial)
		}
	}
	if len(env.wrong) > 0 {
		return
	}
	s.assemble()
	if err := s.gateway.Check(); err != nil { // the rest, in the Caddyfile's words
		env.fault("the variables do not fit together: %w", err)
	}
}

// exclude refuses two variables at once, if that is what they mean.
func (env *environment) exclude(a, b, why string, when ...bool) {
	if env.given(a) && env.given(b) && !slices.Contains(when, false) {
		env.fault("%s and %s exclude each other: %s", a, b, why)
	}
}

// isAt reports whether an upstream is a listener of our own: requests would go round
// in a circle, or to the health of the sidecar. On an address of its own, beside
// loopback, that may be the application's port too.
func isAt(listen, dial string) bool {
	if listen == dial { // a socket
		return true
	}
	host, port, err := net.SplitHostPort(dial)
	own, ownPort, ownErr := net.SplitHostPort(listen)
	if err != nil || ownErr != nil || port != ownPort {
		return false
	}
	ip := net.ParseIP(own)
	everywhere := own == "" || ip != nil && ip.IsUnspecified()
	return host == own || isLocal(host) && (everywhere || isLocal(own))
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

func (s *sidecar) assemble() {
	if s.client.ID != "" {
		s.issuer.Client = &s.client
	}
	if s.introspect != nil {
		s.asking.URL = s.introspect.URL
		s.issuer.Introspect = &s.asking
	}
	if len(s.trust) > 0 {
		s.issuer.TrustPool = caddyconfig.JSON(map[string]any{"provider": "file", "pem_files": s.trust}, nil)
	}
	s.gateway.Issuer = []*issuers.Issuer{&s.issuer}
	if len(s.endpoint.Path) > 0 {
		s.gateway.TokenEndpoint, s.gateway.Session = &s.endpoint, &s.session
	}
}

type object = map[string]any

// config is the configuration that Caddy runs. Secrets are placeholders in it.
func (s *sidecar) caddyConfig() (json.RawMessage, error) {
	servers := object{"gateway": s.server()}
	if s.health != off {
		servers["health"] = s.healthServer()
	}
	admin := object{"disabled": true, "config": object{"persist": false}}
	if s.admin != off {
		// For this user alone, who is not the application's.
		admin = object{"listen": s.admin + "|0600", "config": object{"persist": false}}
	}
	app := object{"grace_period": s.grace, "servers": servers}
	if s.delay > 0 {
		app["shutdown_delay"] = s.delay
	}
	doc, err := json.Marshal(object{
		"admin":   admin,
		"logging": object{"logs": object{"default": object{"level": strings.ToUpper(s.level)}}},
		"apps":    object{"http": app},
	})
	if err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return doc, nil
}

// server is the one that judges and forwards.
func (s *sidecar) server() object {
	server := object{
		"listen":          []string{socketForAll(s.listen)},
		"automatic_https": object{"disable": true},
		"protocols":       []string{"h1", "h2c"},
		"routes": []object{{"handle": []any{
			caddyconfig.JSONModuleObject(&s.gateway, "handler", "oauth", nil),
			s.proxy(),
		}}},
	}
	if len(s.proxies) > 0 {
		server["trusted_proxies"] = object{"source": "static", "ranges": s.proxies}
		server["trusted_proxies_strict"] = 1
	}
	// Caddy drops the others with such names.
	for sign, word := range map[string]string{"_": "expected_underscore_headers", ".": "expected_dot_headers"} {
		var names []string
		for _, name := range s.expected {
			if strings.Contains(name, sign) {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			server[word] = names
		}
	}
	if s.accessLog {
		server["logs"] = object{}
	}
	return server
}

// socketForAll gives a Unix socket that clients connect to a mode that lets
// them; who may is a matter of the directory it is in.
func socketForAll(address string) string {
	if strings.HasPrefix(address, "unix/") {
		return address + "|0666"
	}
	return address
}

func (s *sidecar) proxy() object {
	var upstreams []object
	for _, dial := range s.upstreams {
		upstreams = append(upstreams, object{"dial": dial})
	}
	proxy := object{"handler": "reverse_proxy", "upstreams": upstreams}
	switch s.scheme {
	case "https":
		proxy["transport"] = object{"protocol": "http", "tls": object{}}
	case "h2c":
		proxy["transport"] = object{"protocol": "http", "versions": []string{"h2c"}}
	}
	return proxy
}

// healthServer is for who watches: a probe and Prometheus, not for clients.
func (s *sidecar) healthServer() object {
	health := object{"handler": "oauth_health"}
	if s.readyGrace > 0 {
		health["ready_grace"] = s.readyGrace
	}
	return object{
		"listen":          []string{s.health},
		"automatic_https": object{"disable": true},
		"protocols":       []string{"h1"},
		"routes": []object{
			{"match": []object{{"path": []string{"/metrics"}}}, "handle": []object{{"handler": "metrics"}}},
			{"handle": []object{health, {"handler": "static_response", "status_code": 404}}},
		},
	}
}

// configOf reads the environment and makes a configuration of it.
func configOf(entries []string, readFile func(string) ([]byte, error)) (json.RawMessage, error) {
	s, err := newEnvironment(entries, readFile).sidecar()
	if err != nil {
		return nil, err
	}
	return s.caddyConfig()
}
