package config

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/login"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/resource"
	"github.com/caddyoauth/caddyoauth/internal/tunnel"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Check finds what is wrong with the configuration itself, whether it came
// from a Caddyfile or from JSON.
func (c *Config) Check() error {
	if err := c.Login.Fill(c.Issuer); err != nil {
		return err
	}
	if err := issuers.Check(c.Issuer, c.ResourceInAud(), c.Login.ByUser()); err != nil {
		return err
	}
	if err := c.checkResource(); err != nil {
		return err
	}
	if err := issuers.CheckIntrospect(c.Issuer); err != nil {
		return err
	}
	if c.Cache != nil && *c.Cache < 0 {
		return fmt.Errorf("cache is %d; it takes a number of entries, 0 for none", *c.Cache)
	}
	for _, require := range c.Require {
		if err := require.Check(); err != nil {
			return err
		}
	}
	if c.Session != nil {
		if err := c.Session.Check(); err != nil {
			return err
		}
	}
	if c.TokenEndpoint != nil {
		if err := c.TokenEndpoint.Check(c.Issuer[0]); err != nil {
			return err
		}
	}
	if err := c.checkLogin(); err != nil {
		return err
	}
	if err := c.checkRevocation(); err != nil {
		return err
	}
	if err := c.checkPush(); err != nil {
		return err
	}
	return errors.Join(c.checkForwardAuth(), c.Streams.Check(), c.Streams.CheckKept(c.KeepsGrants(), c.ForwardAuth != nil), tunnel.Check(c.InsecureUpgrades), verdict.CheckRealm(c.Realm))
}

func (c *Config) checkResource() error {
	switch {
	case c.Resource != "":
	case c.ResourceNotInAud:
		return errors.New("resource_not_in_aud: there is no resource")
	case len(c.ScopesSupported) > 0:
		return errors.New("scopes_supported: it is for the metadata of a resource, and there is none: write \"resource <url>\"")
	default:
		return nil
	}
	if err := c.checkScopesSupported(); err != nil {
		return err
	}
	return resource.Check(c.Resource, slices.ContainsFunc(c.Issuer, func(i *issuers.Issuer) bool { return i.InsecureHTTP }))
}

func (c *Config) checkScopesSupported() error {
	for _, word := range c.ScopesSupported {
		switch {
		case !policy.IsScopeWord(word):
			return fmt.Errorf("scopes_supported: %q is not one scope word", word)
		case word == policy.OfflineAccess:
			return errors.New("scopes_supported: offline_access is about a client and its issuer, and of no use at this API: leave it out. A client that wants a refresh token finds it in the issuer's metadata")
		}
	}
	return nil
}

func (c *Config) checkRevocation() error {
	if err := c.Revocation.Check(); err != nil {
		return err
	}
	for _, path := range c.Revocation.Paths() {
		if c.TokenEndpoint != nil && slices.ContainsFunc(c.TokenEndpoint.Paths(), func(other string) bool { return strings.EqualFold(path, other) }) ||
			c.Login != nil && c.Login.Owns(path) {
			return fmt.Errorf("revocation: endpoint %s is a path of token_endpoint or login already", path)
		}
	}
	return nil
}

// checkPush looks at the paths where transmitters post, beside the gateway's other
// paths.
func (c *Config) checkPush() error {
	taken := map[string]string{}
	if c.TokenEndpoint != nil {
		for _, path := range c.TokenEndpoint.Paths() {
			taken[strings.ToLower(path)] = "token_endpoint"
		}
	}
	for _, path := range c.Revocation.Paths() {
		taken[strings.ToLower(path)] = "revocation"
	}
	for _, issuer := range c.Issuer {
		if issuer.Signals == nil || issuer.Signals.Push == "" {
			continue
		}
		path := issuer.Signals.Push
		by := taken[strings.ToLower(path)]
		if c.Login != nil && c.Login.Owns(path) {
			by = "login"
		}
		if by != "" {
			return fmt.Errorf("signals: push %s is a path of %s: each needs one of its own", path, by)
		}
		taken[strings.ToLower(path)] = "another issuer's signals"
	}
	return nil
}

func (c *Config) checkForwardAuth() error {
	return c.ForwardAuth.Check(c.CopyClaims, c.Credentials, c.Session != nil || c.TokenEndpoint != nil)
}

// checkLogin looks at the login block, and at what no other block may have
// beside it.
func (c *Config) checkLogin() error {
	l := c.Login
	if l == nil {
		if c.ForwardAuth != nil && slices.Contains(c.ForwardAuth.Statuses, http.StatusFound) {
			return errors.New("forward_auth: statuses: 302 sends browsers to log in, and there is no login")
		}
		return nil
	}
	if err := l.Check(c.Issuer[0]); err != nil {
		return err
	}
	switch {
	case c.StripToken && l.Forward != "" && l.Forward != login.None:
		return fmt.Errorf("login: forward %s and strip_token exclude each other", l.Forward)
	case slices.ContainsFunc(c.Credentials, func(at credential.Credential) bool { return at.Cookie == l.CookieName() }):
		return fmt.Errorf("login: the cookie %s is in credentials too", l.CookieName())
	case c.TokenEndpoint != nil && slices.ContainsFunc(c.TokenEndpoint.Paths(), l.Owns):
		return fmt.Errorf("login: token_endpoint has a path below %s", l.PathPrefix())
	}
	return nil
}
