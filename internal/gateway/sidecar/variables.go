package sidecar

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/identity"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/gateway/streams"
	"github.com/caddyoauth/caddyoauth/internal/gateway/tokenendpoint"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// variable is one line of the sidecar's manual: docs/sidecar.md has the same
// table.
type variable struct {
	Name     string
	Takes    string // what would be right, for errors
	Standard string // what holds without it
	Secret   bool   // there is also name_FILE, with the path of a file
	list     bool   // separated by spaces
	needs    string // the variable without which this one has no use
	set      func(s *sidecar, value string) error
}

const required = "required"

// variables is everything that the sidecar reads from the environment, besides
// what Caddy and Go read themselves.
var variables = []variable{
	{Name: "OAUTH_ISSUER", list: true, Takes: "one or more issuer URLs", Standard: required, set: func(s *sidecar, v string) error { return words(v, &s.issuer.URL) }},
	{Name: "OAUTH_AUDIENCE", list: true, Takes: "one or more audiences", Standard: required, set: func(s *sidecar, v string) error { return words(v, &s.issuer.Audience) }},
	{Name: "OAUTH_CLIENT_ID_AS_AUDIENCE", Takes: "true or false", Standard: "false", set: func(s *sidecar, v string) error { return yesNo(v, &s.issuer.ClientIDAsAudience) }},
	{Name: "OAUTH_ACCESS_TOKEN_ISSUER", Takes: "the text of iss in access tokens", Standard: "the issuer", set: func(s *sidecar, v string) error { return word(v, &s.issuer.AccessTokenIssuer) }},
	{Name: "OAUTH_RESOURCE", Takes: "the URL of this API", Standard: "none", set: func(s *sidecar, v string) error { return word(v, &s.gateway.Resource) }},
	{Name: "OAUTH_RESOURCE_NOT_IN_AUD", Takes: "true or false", Standard: "false", needs: "OAUTH_RESOURCE", set: func(s *sidecar, v string) error { return yesNo(v, &s.gateway.ResourceNotInAud) }},
	{Name: "OAUTH_SCOPES_SUPPORTED", list: true, Takes: "scope words", Standard: "none", needs: "OAUTH_RESOURCE", set: func(s *sidecar, v string) error { return words(v, &s.gateway.ScopesSupported) }},
	{Name: "OAUTH_ALGORITHMS", list: true, Takes: "names such as RS256 ES256 EdDSA", Standard: "all of them", set: func(s *sidecar, v string) error {
		_, err := token.ParseAlgorithms(strings.Fields(v))
		return errors.Join(err, words(v, &s.issuer.Algorithms))
	}},
	{Name: "OAUTH_TOKEN_TYPE", Takes: issuers.StrictType, Standard: "at+jwt, JWT or no type", set: func(s *sidecar, v string) error { return oneOf(v, &s.issuer.TokenType, issuers.StrictType) }},
	{Name: "OAUTH_SKEW", Takes: "a duration from 0s to 60s", Standard: "30s", set: func(s *sidecar, v string) error {
		s.issuer.Skew = new(caddy.Duration)
		return duration(v, s.issuer.Skew, 0, issuers.MaxSkew)
	}},
	{Name: "OAUTH_METADATA", Takes: "a URL", Standard: "found from the issuer", set: func(s *sidecar, v string) error { return word(v, &s.issuer.Metadata) }},
	{Name: "OAUTH_JWKS", Takes: "a URL, or the absolute path of a file", Standard: "found from the issuer", set: func(s *sidecar, v string) error {
		if issuers.IsKeyFile(v) && !strings.HasPrefix(v, "/") {
			return errors.New("it is neither")
		}
		return word(v, &s.issuer.JWKS)
	}},
	{Name: "OAUTH_BEARER_TOKEN_FILE", Takes: "the path of a file", Standard: "none", set: func(s *sidecar, v string) error { return word(v, &s.issuer.BearerTokenFile) }},
	{Name: "OAUTH_STATUS_LISTS", list: true, Takes: "one or more origins, https://host[:port]", Standard: "none are looked at", set: func(s *sidecar, v string) error { return words(v, &s.issuer.StatusLists) }},
	{Name: "OAUTH_TRUST_POOL_FILE", list: true, Takes: "paths of PEM files", Standard: "the image's certificate authorities", set: func(s *sidecar, v string) error { return words(v, &s.trust) }},
	{Name: "OAUTH_INTROSPECT", Takes: "true, false, or the URL of the introspection endpoint", Standard: "false", set: func(s *sidecar, v string) error {
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
	{Name: "OAUTH_INTROSPECT_ALWAYS", Takes: "true or false", Standard: "false", needs: "OAUTH_INTROSPECT", set: func(s *sidecar, v string) error { return yesNo(v, &s.asking.Always) }},
	{Name: "OAUTH_INTROSPECT_LIGHTWEIGHT", Takes: "true or false", Standard: "false", needs: "OAUTH_INTROSPECT", set: func(s *sidecar, v string) error { return yesNo(v, &s.asking.Lightweight) }},
	{Name: "OAUTH_INTROSPECT_JWT_RESPONSE", Takes: "true or false", Standard: "false", needs: "OAUTH_INTROSPECT", set: func(s *sidecar, v string) error { return yesNo(v, &s.asking.JWTResponse) }},
	{Name: "OAUTH_INTROSPECT_CACHE", Takes: "a duration from 0s to 60s", Standard: "60s", needs: "OAUTH_INTROSPECT", set: func(s *sidecar, v string) error {
		s.asking.Cache = new(caddy.Duration)
		return duration(v, s.asking.Cache, 0, introspection.LongestCache)
	}},
	{Name: "OAUTH_INTROSPECT_RATE", Takes: "calls per second, 1 to " + strconv.Itoa(introspection.MostRate), Standard: strconv.Itoa(introspection.DefaultRate), needs: "OAUTH_INTROSPECT", set: func(s *sidecar, v string) error { return number(v, &s.asking.Rate, introspection.MostRate) }},
	{Name: "OAUTH_CLIENT_ID", Takes: "a client id", Standard: "none", set: func(s *sidecar, v string) error { return word(v, &s.client.ID) }},
	{Name: "OAUTH_CLIENT_SECRET", Takes: "the client's secret", Standard: "none", Secret: true, needs: "OAUTH_CLIENT_ID", set: func(s *sidecar, v string) error { s.client.Secret = v; return nil }},
	{Name: "OAUTH_CLIENT_KEY_FILE", Takes: "the path of a private key, PEM or JWK", Standard: "none", needs: "OAUTH_CLIENT_ID", set: func(s *sidecar, v string) error { return word(v, &s.client.Key) }},
	{Name: "OAUTH_SCOPE", list: true, Takes: "scope words", Standard: "none", set: func(s *sidecar, v string) error {
		require := &policy.Requirement{}
		s.gateway.Require = append(s.gateway.Require, require)
		return errors.Join(words(v, &require.Scope), require.Check())
	}},
	{Name: "OAUTH_ACR", list: true, Takes: "acr values", Standard: "none", set: func(s *sidecar, v string) error {
		require := &policy.Requirement{}
		s.gateway.Require = append(s.gateway.Require, require)
		return errors.Join(words(v, &require.ACR), require.Check())
	}},
	{Name: "OAUTH_MAX_AGE", Takes: aboveZero, Standard: "none", set: func(s *sidecar, v string) error {
		require := &policy.Requirement{}
		s.gateway.Require = append(s.gateway.Require, require)
		if err := duration(v, &require.MaxAge, 1, 0); err != nil {
			return err
		}
		return require.Check()
	}},
	{Name: "OAUTH_COPY_CLAIMS", list: true, Takes: "claims, each as claim>Header or claim", Standard: "none", set: func(s *sidecar, v string) error {
		_, err := identity.New(strings.Fields(v), nil)
		return errors.Join(err, words(v, &s.gateway.CopyClaims))
	}},
	{Name: "OAUTH_LIST_CLAIMS", list: true, Takes: "claims", Standard: "groups roles", set: func(s *sidecar, v string) error {
		_, err := identity.New(nil, strings.Fields(v))
		return errors.Join(err, words(v, &s.gateway.ListClaims))
	}},
	{Name: "OAUTH_STRIP_TOKEN", Takes: "true or false", Standard: "false", set: func(s *sidecar, v string) error { return yesNo(v, &s.gateway.StripToken) }},
	{Name: "OAUTH_ALLOW_ANONYMOUS", Takes: "true or false", Standard: "false", set: func(s *sidecar, v string) error { return yesNo(v, &s.gateway.AllowAnonymous) }},
	{Name: "OAUTH_STREAMS_CLOSE_CODE", Takes: "1008, or a code from 3000 to 4999", Standard: "1008", set: func(s *sidecar, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil {
			return errWrong
		}
		return s.sayOfStreams(streams.Streams{CloseCode: n}, func(b *streams.Streams) { b.CloseCode = n })
	}},
	{Name: "OAUTH_STREAMS_ON_EXPIRY", Takes: "end or keep", Standard: "end", set: func(s *sidecar, v string) error {
		return s.sayOfStreams(streams.Streams{OnExpiry: v}, func(b *streams.Streams) { b.OnExpiry = v })
	}},
	{Name: "OAUTH_STREAMS_ON_RENEWAL", Takes: "a path such as /streams/renewed", Standard: "none", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error {
		return s.sayOfStreams(streams.Streams{OnRenewal: v}, func(b *streams.Streams) { b.OnRenewal = v })
	}},
	{Name: "OAUTH_REALM", Takes: "text of visible ASCII", Standard: "none", set: func(s *sidecar, v string) error { s.gateway.Realm = v; return verdict.CheckRealm(v) }},
	{Name: "OAUTH_CACHE", Takes: "a number of tokens, 0 for none", Standard: strconv.Itoa(issuers.DefaultCache), set: func(s *sidecar, v string) error {
		n, err := strconv.Atoi(v)
		s.gateway.Cache = &n
		if err != nil || n < 0 {
			return errWrong
		}
		return nil
	}},
	{Name: "OAUTH_TOKEN_ENDPOINT", list: true, Takes: "one or more paths", Standard: "none", set: func(s *sidecar, v string) error {
		return errors.Join(words(v, &s.endpoint.Path), (&tokenendpoint.TokenEndpoint{Path: strings.Fields(v)}).CheckWords())
	}},
	{Name: "OAUTH_REVOCATION_ENDPOINT", Takes: "a path", Standard: "none", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return word(v, &s.endpoint.RevocationEndpoint) }},
	{Name: "OAUTH_DEVICE_ENDPOINT", Takes: "a path", Standard: "none", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return word(v, &s.endpoint.DeviceAuthorizationEndpoint) }},
	{Name: "OAUTH_GRANT_TYPES", list: true, Takes: "grant types of " + strings.Join(tokenendpoint.GrantTypes, ", "), Standard: strings.Join(tokenendpoint.DefaultGrantTypes, " "), needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error {
		return errors.Join(words(v, &s.endpoint.GrantTypes), (&tokenendpoint.TokenEndpoint{Path: []string{"/"}, GrantTypes: strings.Fields(v)}).CheckWords())
	}},
	{Name: "OAUTH_PUBLIC_CLIENTS", list: true, Takes: "client ids", Standard: "none", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return words(v, &s.endpoint.PublicClients) }},
	{Name: "OAUTH_SESSION_IDLE", Takes: aboveZero, Standard: "1h", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return duration(v, &s.session.Idle, 1, 0) }},
	{Name: "OAUTH_SESSION_MAX", Takes: aboveZero, Standard: "12h", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return duration(v, &s.session.Max, 1, 0) }},
	{Name: "OAUTH_GRANTS_PER_CLIENT", Takes: grantNumber, Standard: "100000", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return number(v, &s.session.GrantsPerClient, grants.MostGrants) }},
	{Name: "OAUTH_GRANTS_PER_SUBJECT", Takes: grantNumber, Standard: "1000", needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { return number(v, &s.session.GrantsPerSubject, grants.MostGrants) }},
	{Name: "OAUTH_SESSION_KEY", Takes: "at least 32 characters", Standard: "made, and kept in Caddy's storage", Secret: true, needs: "OAUTH_TOKEN_ENDPOINT", set: func(s *sidecar, v string) error { s.session.Keys = append(s.session.Keys, v); return nil }},
	{Name: "OAUTH_SESSION_KEY_OLD", Takes: "at least 32 characters", Standard: "none", Secret: true, needs: "OAUTH_SESSION_KEY", set: func(s *sidecar, v string) error { s.session.Keys = append(s.session.Keys, v); return nil }},
	{Name: "OAUTH_INSECURE_HTTP", Takes: "true or false", Standard: "false", set: func(s *sidecar, v string) error { return yesNo(v, &s.issuer.InsecureHTTP) }},
	{Name: "OAUTH_INSECURE_ANY_AUDIENCE", Takes: "true or false", Standard: "false", set: func(s *sidecar, v string) error { return yesNo(v, &s.issuer.InsecureAnyAudience) }},
	{Name: "OAUTH_INSECURE_ANY_TOKEN", Takes: "true or false", Standard: "false", needs: "OAUTH_INTROSPECT", set: func(s *sidecar, v string) error { return yesNo(v, &s.asking.InsecureAnyToken) }},
	{Name: "OAUTH_INSECURE_ID_TOKENS", Takes: "true or false", Standard: "false", set: func(s *sidecar, v string) error { return yesNo(v, &s.issuer.InsecureIDTokens) }},
	{Name: "UPSTREAM", list: true, Takes: "one or more addresses: host:port, unix//path, or with http://, https:// or h2c:// in front", Standard: required, set: (*sidecar).setUpstream},
	{Name: "LISTEN", Takes: "an address such as :8080 or 10.0.0.1:8080, or unix//path", Standard: ":8080", set: func(s *sidecar, v string) error { return listen(v, &s.listen) }},
	{Name: "HEALTH_LISTEN", Takes: "an address such as :8081, or off", Standard: ":8081", set: func(s *sidecar, v string) error {
		if v == off {
			s.health = off
			return nil
		}
		return listen(v, &s.health)
	}},
	{Name: "READY_GRACE", Takes: aboveZero, Standard: "none", set: func(s *sidecar, v string) error { return duration(v, &s.readyGrace, 1, 0) }},
	{Name: "ADMIN", Takes: "off, or unix//path of a socket", Standard: off, set: func(s *sidecar, v string) error {
		path, unix := strings.CutPrefix(v, "unix/")
		if v != off && (!unix || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "| ")) {
			return errWrong
		}
		s.admin = v
		return nil
	}},
	{Name: "TRUSTED_PROXIES", list: true, Takes: "IP addresses and ranges", Standard: "none", set: func(s *sidecar, v string) error {
		for one := range strings.FieldsSeq(v) {
			_, errRange := netip.ParsePrefix(one)
			if _, err := netip.ParseAddr(one); err != nil && errRange != nil {
				return fmt.Errorf("%q is neither", one)
			}
		}
		return words(v, &s.proxies)
	}},
	{Name: "EXPECTED_HEADERS", list: true, Takes: "names of headers with _ or . in them", Standard: "none", set: (*sidecar).setExpected},
	{Name: "LOG_LEVEL", Takes: "debug, info, warn or error", Standard: "info", set: func(s *sidecar, v string) error { return oneOf(v, &s.level, "debug", "info", "warn", "error") }},
	{Name: "ACCESS_LOG", Takes: "true or false", Standard: "false", set: func(s *sidecar, v string) error { return yesNo(v, &s.accessLog) }},
	{Name: "SHUTDOWN_DELAY", Takes: aboveZero, Standard: "none", set: func(s *sidecar, v string) error { return duration(v, &s.delay, 1, 0) }},
	{Name: "GRACE_PERIOD", Takes: aboveZero, Standard: "10s", set: func(s *sidecar, v string) error { return duration(v, &s.grace, 1, 0) }},
}

const (
	aboveZero = "a duration above zero, such as 30s or 12h"
	off       = "off"
)

var grantNumber = "a number of grants, 1 to " + strconv.Itoa(grants.MostGrants)

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

// sayOfStreams writes a word into the block of streams. alone is a block with no other.
func (s *sidecar) sayOfStreams(alone streams.Streams, write func(*streams.Streams)) error {
	if alone.Check() != nil {
		return errWrong
	}
	if s.gateway.Streams == nil {
		s.gateway.Streams = new(streams.Streams)
	}
	write(s.gateway.Streams)
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

// setExpected reads the names of headers that Caddy would drop: some upstreams read
// _ and . as -, and take one header for another.
func (s *sidecar) setExpected(value string) error {
	for one := range strings.FieldsSeq(value) {
		switch name := strings.TrimSuffix(one, "*"); {
		case !httpguts.ValidHeaderFieldName(name) || strings.Contains(name, "*"):
			return fmt.Errorf("%q is no header's name; only its end may be *", one)
		case !strings.ContainsAny(name, "_."):
			return fmt.Errorf("%q has neither _ nor ., and comes through without this", one)
		}
	}
	return words(value, &s.expected)
}
