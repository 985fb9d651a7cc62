package sidecar

import (
	"regexp"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
)

// serviceLink is what Kubernetes puts into the environment for a service whose
// name begins with "oauth".
var serviceLink = regexp.MustCompile(`^OAUTH_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// meant are names that mean something here by another name. Other gateways, and
// the RFCs, call it so.
var meant = map[string]string{ //nolint:gosec // names of variables, no secrets
	"BACKEND": "UPSTREAM", "TARGET": "UPSTREAM", "PROXY_TO": "UPSTREAM", "UPSTREAMS": "UPSTREAM", "UPSTREAM_URL": "UPSTREAM",
	"ADDRESS": "LISTEN", "LISTEN_ADDRESS": "LISTEN", "HTTP_ADDRESS": "LISTEN", "BIND": "LISTEN",
	"HEALTH": "HEALTH_LISTEN", "METRICS": "HEALTH_LISTEN", "METRICS_ADDRESS": "HEALTH_LISTEN", "METRICS_LISTEN": "HEALTH_LISTEN",
	"OIDC_ISSUER_URL": "OAUTH_ISSUER", "PROVIDER": "OAUTH_ISSUER", "PROVIDER_URL": "OAUTH_ISSUER", "AUTHORITY": "OAUTH_ISSUER",
	"DISCOVERY": "OAUTH_METADATA", "DISCOVERY_URL": "OAUTH_METADATA", "WELL_KNOWN_URL": "OAUTH_METADATA", "CONFIGURATION_ENDPOINT": "OAUTH_METADATA",
	"KEYS": "OAUTH_JWKS", "KEYS_URL": "OAUTH_JWKS", "PUBLIC_KEY": "OAUTH_JWKS",
	"AUD": "OAUTH_AUDIENCE", "CLOCK_SKEW": "OAUTH_SKEW", "LEEWAY": "OAUTH_SKEW",
	"REQUIRED_SCOPE": "OAUTH_SCOPE", "REQUIRED_SCOPES": "OAUTH_SCOPE", "REQUIRE_SCOPE": "OAUTH_SCOPE",
	"HEADERS": "OAUTH_COPY_CLAIMS", "CLAIMS": "OAUTH_COPY_CLAIMS", "CLAIM_HEADERS": "OAUTH_COPY_CLAIMS",
	"CA_FILE": "OAUTH_TRUST_POOL_FILE", "CA": "OAUTH_TRUST_POOL_FILE", "TRUST_POOL": "OAUTH_TRUST_POOL_FILE",
	"INTROSPECTION": "OAUTH_INTROSPECT", "INTROSPECTION_URL": "OAUTH_INTROSPECT", "INTROSPECTION_ENDPOINT": "OAUTH_INTROSPECT",
	"TOKEN_PATH": "OAUTH_TOKEN_ENDPOINT", "REVOCATION_PATH": "OAUTH_REVOCATION_ENDPOINT",
	"COOKIE_SECRET": "OAUTH_SESSION_KEY", "ENCRYPTION_KEY": "OAUTH_SESSION_KEY",
	"LOGLEVEL": "LOG_LEVEL", "DEBUG": "LOG_LEVEL",
}

// refuseUnknown finds names that are likely slips: a rule that is not read
// protects nothing.
func (env *environment) refuseUnknown() {
	var known, unknown []string
	for _, v := range variables {
		known = append(known, v.Name)
		if v.Secret {
			known = append(known, v.Name+"_FILE")
		}
	}
	for name := range env.values {
		if strings.HasPrefix(name, "OAUTH_") && !slices.Contains(known, name) && !serviceLink.MatchString(name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		if near := likely(name, known); near != "" {
			env.fault("%s is not known; is it %s?", name, near)
			continue
		}
		env.fault("%s is not known; docs/sidecar.md lists the variables that are", name)
	}
}

// likely is the variable that a name stands for: by what it means, by its letters,
// or "".
func likely(name string, known []string) string {
	own := strings.TrimPrefix(name, "OAUTH_")
	if slices.Contains(known, own) { // OAUTH_UPSTREAM
		return own
	}
	if known := meant[own]; known != "" {
		return known
	}
	if near := grammar.Nearest(name, known); near != "" {
		return near
	}
	return grammar.Nearest(own, known)
}
