package caddyoauth

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/identity"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// variable is one line of the sidecar's manual: docs/sidecar.md has the same
// table.
type variable struct {
	name     string
	takes    string // what would be right, for errors
	standard string // what holds without it
	secret   bool   // there is also name_FILE, with the path of a file
	needs    string // the variable without which this one has no use
	set      func(s *sidecar, value string) error
}

const required = "required"

// variables is everything that the sidecar reads from the environment, besides
// what Caddy and Go read themselves.
var variables = []variable{
	{name: "OAUTH_ISSUER", takes: "one or more issuer URLs", standard: required, set: func(s *sidecar, v string) error { return words(v, &s.issuer.URL) }},
	{name: "OAUTH_AUDIENCE", takes: "one or more audiences", standard: required, set: func(s *sidecar, v string) error { return words(v, &s.issuer.Audience) }},
	{name: "OAUTH_RESOURCE", takes: "the URL of this API", standard: "none", set: func(s *sidecar, v string) error { return word(v, &s.gateway.Resource) }},
	{name: "OAUTH_ALGORITHMS", takes: "names such as RS256 ES256 EdDSA", standard: "all of them", set: func(s *sidecar, v string) error {
		_, err := token.ParseAlgorithms(strings.Fields(v))
		return errors.Join(err, words(v, &s.issuer.Algorithms))
	}},
	{name: "OAUTH_TOKEN_TYPE", takes: issuers.StrictType, standard: "at+jwt, JWT or no type", set: func(s *sidecar, v string) error { return oneOf(v, &s.issuer.TokenType, issuers.StrictType) }},
	{name: "OAUTH_SKEW", takes: "a duration from 0s to 60s", standard: "30s", set: func(s *sidecar, v string) error {
		s.issuer.Skew = new(caddy.Duration)
		return duration(v, s.issuer.Skew, 0, issuers.MaxSkew)
	}},
	{name: "OAUTH_METADATA", takes: "a URL", standard: "found from the issuer", set: func(s *sidecar, v string) error { return word(v, &s.issuer.Metadata) }},
	{name: "OAUTH_JWKS", takes: "a URL, or the absolute path of a file", standard: "found from the issuer", set: func(s *sidecar, v string) error {
		if issuers.IsKeyFile(v) && !strings.HasPrefix(v, "/") {
			return errors.New("it is neither")
		}
		return word(v, &s.issuer.JWKS)
	}},
	{name: "OAUTH_TRUST_POOL_FILE", takes: "paths of PEM files", standard: "the image's certificate authorities", set: func(s *sidecar, v string) error { return words(v, &s.trust) }},
	{name: "OAUTH_INTROSPECT", takes: "true, false, or the URL of the introspection endpoint", standard: "false", set: func(s *sidecar, v string) error {
		switch v {
		case "false":
			s.introspect = nil
		case "true":
			s.introspect = new(introspection.Introspect)
		default:
			s.introspect = &introspection.Introspect{URL: v}
			return as.CheckURL(v, true) // plain http is looked at with the rest
		}
		return nil
	}},
	{name: "OAUTH_INTROSPECT_ALWAYS", takes: "true or false", standard: "false", needs: "OAUTH_INTROSPECT", set: func(s *sidecar, v string) error { return yesNo(v, &s.asking.Always) }},
	{name: "OAUTH_INTROSPECT_CACHE", takes: "a duration from 0s to 60s", standard: "60s", needs: "OAUTH_INTROSPECT", set: func(s *sidecar, v string) error {
		s.asking.Cache = new(caddy.Duration)
		return duration(v, s.asking.Cache, 0, introspection.LongestCache)
	}},
	{name: "OAUTH_INTROSPECT_RATE", takes: "calls per second, 1 to " + strconv.Itoa(introspection.MostRate), standard: strconv.Itoa(introspection.DefaultRate), needs: "OAUTH_INTROSPECT", set: func(s *sidecar, v string) error { return number(v, &s.asking.Rate, introspection.MostRate) }},
	{name: "OAUTH_CLIENT_ID", takes: "a client id", standard: "none", set: func(s *sidecar, v string) error { return word(v, &s.client.ID) }},
	{name: "OAUTH_CLIENT_SECRET", takes: "the client's secret", standard: "none", secret: true, needs: "OAUTH_CLIENT_ID", set: func(s *sidecar, v string) error { s.client.Secret = v; return nil }},
	{name: "OAUTH_CLIENT_KEY_FILE", takes: "the path of a private key, PEM or JWK", standard: "none", needs: "OAUTH_CLIENT_ID", set: func(s *sidecar, v string) error { return word(v, &s.client.Key) }},
	{name: "OAUTH_SCOPE", takes: "scope words", standard: "none", set: func(s *sidecar, v string) error {
		require := &policy.Requirement{}
		s.gateway.Require = append(s.gateway.Require, require)
		return errors.Join(words(v, &require.Scope), require.Check())
	}},
	{name: "OAUTH_ACR", takes: "acr values", standard: "none", set: func(s *sidecar, v string) error {
		require := &policy.Requirement{}
		s.gateway.Require = append(s.gateway.Require, require)
		return errors.Join(words(v, &require.ACR), require.Check())
	}},
	{name: "OAUTH_MAX_AGE", takes: aboveZero, standard: "none", set: func(s *sidecar, v string) error {
		require := &policy.Requirement{}
		s.gateway.Require = append(s.gateway.Require, require)
		if err := duration(v, &require.MaxAge, 1, 0); err != nil {
			return err
		}
		return require.Check()
	}},
	{name: "OAUTH_COPY_CLAIMS", takes: "claims, each as claim>Header or claim", standard: "none", set: func(s *sidecar, v string) error {
		_, err := identity.New(strings.Fields(v), nil)
		return errors.Join(err, words(v, &s.gateway.CopyClaims))
	}},
	{name: "OAUTH_LIST_CLAIMS", takes: "claims", standard: "groups roles", set: func(s *sidecar, v string) error { return words(v, &s.gateway.ListClaims) }},
	{name: "OAUTH_STRIP_TOKEN", takes: "true or false", standard: "false", set: func(s *sidecar, v string) error { return yesNo(v, &s.gateway.StripToken) }},
	{name: "OAUTH_ALLOW_ANONYMOUS", takes: "true or false", standard: "false", set: func(s *sidecar, v string) error { return yesNo(v, &s.gateway.AllowAnonymous) }},
	{name: "OAUTH_REALM", takes: "text of visible ASCII", standard: "none", set: func(s *sidecar, v string) error { s.gateway.Realm = v; return verdict.CheckRealm(v) }},
	{name: "OAUTH_CACHE", takes: "a number of tokens, 0 for none", standard: strconv.Itoa(issuers.DefaultCache), set: func(s *sidecar, v string) error {
		n, err := strconv.Atoi(v)
		s.gateway.Cache = &n
		if err != nil || n < 0 {
			return errWrong
		}
		return nil
	}},
	{name: "OAUTH_TOKEN_ENDPOINT", takes: "one or more paths", standard: "none", set: func(s *sidecar, v string) error {
		return errors.Join(words(v, &s.endpoint.Path), (&TokenEndpoint{Path: strings.Fields(v)}).checkWords())
	}},
	{name: "OAUTH_REVOCATION_ENDPOINT", takes: "a path", standard: "none", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return word(v, &s.endpoint.RevocationEndpoint) }},
	{name: "OAUTH_DEVICE_ENDPOINT", takes: "a path", standard: "none", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return word(v, &s.endpoint.DeviceAuthorizationEndpoint) }},
	{name: "OAUTH_GRANT_TYPES", takes: "grant types of " + strings.Join(grantTypes, ", "), standard: strings.Join(defaultGrantTypes, " "), needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error {
		return errors.Join(words(v, &s.endpoint.GrantTypes), (&TokenEndpoint{Path: []string{"/"}, GrantTypes: strings.Fields(v)}).checkWords())
	}},
	{name: "OAUTH_PUBLIC_CLIENTS", takes: "client ids", standard: "none", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return words(v, &s.endpoint.PublicClients) }},
	{name: "OAUTH_SESSION_IDLE", takes: aboveZero, standard: "1h", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return duration(v, &s.session.Idle, 1, 0) }},
	{name: "OAUTH_SESSION_MAX", takes: aboveZero, standard: "12h", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return duration(v, &s.session.Max, 1, 0) }},
	{name: "OAUTH_GRANTS_PER_CLIENT", takes: grantNumber, standard: "100000", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return number(v, &s.session.GrantsPerClient, mostGrants) }},
	{name: "OAUTH_GRANTS_PER_SUBJECT", takes: grantNumber, standard: "1000", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return number(v, &s.session.GrantsPerSubject, mostGrants) }},
	{name: "OAUTH_SESSION_KEY", takes: "at least 32 characters", standard: "made, and kept in Caddy's storage", secret: true, needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { s.session.Keys = append(s.session.Keys, v); return nil }},
	{name: "OAUTH_SESSION_KEY_OLD", takes: "at least 32 characters", standard: "none", secret: true, needs: "OAUTH_SESSION_KEY", set: func(s *sidecar, v string) error { s.session.Keys = append(s.session.Keys, v); return nil }},
	{name: "OAUTH_INSECURE_HTTP", takes: "true or false", standard: "false", set: func(s *sidecar, v string) error { return yesNo(v, &s.issuer.InsecureHTTP) }},
	{name: "OAUTH_INSECURE_ANY_AUDIENCE", takes: "true or false", standard: "false", set: func(s *sidecar, v string) error { return yesNo(v, &s.issuer.InsecureAnyAudience) }},
	{name: "OAUTH_INSECURE_ANY_TOKEN", takes: "true or false", standard: "false", needs: "OAUTH_INTROSPECT", set: func(s *sidecar, v string) error { return yesNo(v, &s.asking.InsecureAnyToken) }},
	{name: "OAUTH_INSECURE_ID_TOKENS", takes: "true or false", standard: "false", set: func(s *sidecar, v string) error { return yesNo(v, &s.issuer.InsecureIDTokens) }},
	{name: "UPSTREAM", takes: "one or more addresses: host:port, unix//path, or with http://, https:// or h2c:// in front", standard: required, set: (*sidecar).setUpstream},
	{name: "LISTEN", takes: "an address such as :8080 or 10.0.0.1:8080, or unix//path", standard: ":8080", set: func(s *sidecar, v string) error { return listen(v, &s.listen) }},
	{name: "HEALTH_LISTEN", takes: "an address such as :8081, or off", standard: ":8081", set: func(s *sidecar, v string) error {
		if v == off {
			s.health = off
			return nil
		}
		return listen(v, &s.health)
	}},
	{name: "READY_GRACE", takes: aboveZero, standard: "none", set: func(s *sidecar, v string) error { return duration(v, &s.readyGrace, 1, 0) }},
	{name: "ADMIN", takes: "off, or unix//path of a socket", standard: off, set: func(s *sidecar, v string) error {
		path, unix := strings.CutPrefix(v, "unix/")
		if v != off && (!unix || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "| ")) {
			return errWrong
		}
		s.admin = v
		return nil
	}},
	{name: "TRUSTED_PROXIES", takes: "IP addresses and ranges", standard: "none", set: func(s *sidecar, v string) error {
		for one := range strings.FieldsSeq(v) {
			_, errRange := netip.ParsePrefix(one)
			if _, err := netip.ParseAddr(one); err != nil && errRange != nil {
				return fmt.Errorf("%q is neither", one)
			}
		}
		return words(v, &s.proxies)
	}},
	{name: "LOG_LEVEL", takes: "debug, info, warn or error", standard: "info", set: func(s *sidecar, v string) error { return oneOf(v, &s.level, "debug", "info", "warn", "error") }},
	{name: "ACCESS_LOG", takes: "true or false", standard: "false", set: func(s *sidecar, v string) error { return yesNo(v, &s.accessLog) }},
	{name: "SHUTDOWN_DELAY", takes: aboveZero, standard: "none", set: func(s *sidecar, v string) error { return duration(v, &s.delay, 1, 0) }},
	{name: "GRACE_PERIOD", takes: aboveZero, standard: "10s", set: func(s *sidecar, v string) error { return duration(v, &s.grace, 1, 0) }},
}

const (
	aboveZero = "a duration above zero, such as 30s or 12h"
	off       = "off"
)

var grantNumber = "a number of grants, 1 to " + strconv.Itoa(mostGrants)

// errWrong says no more than that: the text around it tells what would be right.
var errWrong = errors.New("")

func words(value string, to *[]string) error {
	*to = strings.Fields(value)
	return nil
}

func word(value string, to *string) error {
	*to = value
	if strings.ContainsAny(value, " ") {
		return errors.New("there is a space in it")
	}
	return nil
}

func oneOf(value string, to *string, known ...string) error {
	*to = value
	if !slices.Contains(known, value) {
		return errWrong
	}
	return nil
}

// yesNo takes two words and no other: what looks like no must not mean yes.
func yesNo(value string, to *bool) error {
	*to = value == "true"
	if value != "true" && value != "false" {
		return errWrong
	}
	return nil
}

// duration takes one from least on; most 0 is no limit.
func duration(value string, to *caddy.Duration, least, most time.Duration) error {
	d, err := caddy.ParseDuration(value)
	if err != nil || d < least || most > 0 && d > most {
		return errWrong
	}
	*to = caddy.Duration(d)
	return nil
}

// number takes one from 1 to most.
func number(value string, to *int, most int) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		return errWrong
	}
	*to = n
	return nil
}

func listen(value string, to *string) error {
	*to = value
	address, err := caddy.ParseNetworkAddress(value)
	switch {
	case err != nil || strings.ContainsAny(value, " |"):
		return errWrong
	case address.IsUnixNetwork() && strings.HasPrefix(address.Host, "/"):
		return nil
	case address.Network != "tcp" || address.PortRangeSize() != 1 || address.StartPort == 0:
		return errWrong
	}
	return nil
}
