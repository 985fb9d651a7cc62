package config

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/resource"
	"github.com/caddyoauth/caddyoauth/internal/tunnel"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Check finds what is wrong with the configuration itself, whether it came
// from a Caddyfile or from JSON.
func (c *Config) Check() error {
	if err := issuers.Check(c.Issuer, c.Resource); err != nil {
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
	return errors.Join(c.checkForwardAuth(), tunnel.Check(c.InsecureUpgrades), verdict.CheckRealm(c.Realm))
}

func (c *Config) checkResource() error {
	if c.Resource == "" {
		return nil
	}
	return resource.Check(c.Resource, slices.ContainsFunc(c.Issuer, func(i *issuers.Issuer) bool { return i.InsecureHTTP }))
}

func (c *Config) checkForwardAuth() error {
	return c.ForwardAuth.Check(c.CopyClaims, c.Credentials, c.Session != nil || c.TokenEndpoint != nil)
}

// checkLogin looks at the login block, and at what no other block may have
// beside it.
func (c *Config) checkLogin() error {
	l := c.Login
	if l == nil {
		return nil
	}
	if err := l.Check(c.Issuer[0]); err != nil {
		return err
	}
	switch {
	case c.ForwardAuth != nil:
		return errors.New("login: forward_auth only answers another proxy, which would have to send browsers to log in itself")
	case slices.ContainsFunc(c.Credentials, func(at credential.Credential) bool { return at.Cookie == l.CookieName() }):
		return fmt.Errorf("login: the cookie %s is in credentials too", l.CookieName())
	case c.TokenEndpoint != nil && slices.ContainsFunc(c.TokenEndpoint.Paths(), l.Owns):
		return fmt.Errorf("login: token_endpoint has a path below %s", l.PathPrefix())
	}
	return nil
}
