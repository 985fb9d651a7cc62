package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/forwardauth"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/identity"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/login"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/gateway/revocation"
	"github.com/caddyoauth/caddyoauth/internal/gateway/signals"
	"github.com/caddyoauth/caddyoauth/internal/gateway/streams"
	"github.com/caddyoauth/caddyoauth/internal/gateway/tokenendpoint"
	"github.com/caddyoauth/caddyoauth/internal/resource"
	"github.com/caddyoauth/caddyoauth/internal/tunnel"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Parse reads the directive. Syntax:
//
//	oauth [<matcher>] [<issuer_url> <audience...>] {
//		issuer <url...> { ... }              (parseIssuer)
//		require [<matcher>] scope <scope...>
//		require [<matcher>] claim <name> <value...>
//		require [<matcher>] acr <value...>
//		require [<matcher>] max_age <duration>
//		resource <url>
//		resource_not_in_aud
//		scopes_supported <scope...>
//		session { ... }                      (ParseSession)
//		token_endpoint <path...> { ... }     (parseTokenEndpoint)
//		revocation { ... }                   (revocation.Parse)
//		login [<prefix>] { ... }             (parseLogin)
//		forward_auth { ... }                 (parseForwardAuth)
//		streams { ... }                      (streams.Parse)
//		credentials header [<name>] | cookie <name> | query <name>
//		copy_claims <claim>[><Header>] ...
//		list_claims <name...>
//		strip_token
//		allow_anonymous
//		insecure_upgrades <protocol...>
//		realm <text>
//		audit
//		cache <entries>
//	}
//
// Words that take a list may be repeated and add to it; a repeated scalar is
// an error.
func Parse(h httpcaddyfile.Helper) (*Config, error) {
	h.Next() // the directive's name
	c := &Config{}
	args := h.RemainingArgs()
	short := len(args) > 0
	if short {
		issuer, err := issuers.Short(args, h.Token())
		if err != nil {
			return nil, h.WrapErr(fmt.Errorf("oauth: %w", err))
		}
		c.Issuer = append(c.Issuer, issuer)
	}
	err := grammar.Block(h.Dispenser, func(_ *caddyfile.Dispenser, seen grammar.Once) error {
		return c.parseWord(h, seen)
	})
	if err != nil {
		return nil, err
	}
	if err := c.Login.Fill(c.Issuer); err != nil {
		return nil, h.WrapErr(fmt.Errorf("oauth: %w", err))
	}
	for n, issuer := range c.Issuer { // now that it is known whether there is a resource
		err := issuer.CheckAudience(c.ResourceInAud(), n == 0 && c.Login.ByUser())
		if n == 0 && short && err != nil {
			err = fmt.Errorf(`oauth: no audience behind the issuer %s: write "oauth %[1]s <audience>"`, issuer.URL[0])
		}
		if err != nil {
			return nil, issuer.At(err)
		}
	}
	if err := c.Check(); err != nil {
		return nil, h.WrapErr(fmt.Errorf("oauth: %w", err))
	}
	return c, nil
}

// Words are those of an oauth block, for error texts.
const Words = "issuer, resource, resource_not_in_aud, scopes_supported, session, token_endpoint, revocation, login, forward_auth, streams, require, credentials, copy_claims, list_claims, strip_token, allow_anonymous, insecure_upgrades, realm, audit, cache"

func (c *Config) parseWord(h httpcaddyfile.Helper, seen grammar.Once) (err error) {
	switch word := h.Val(); word {
	case "issuer":
		var issuer *issuers.Issuer
		issuer, err = issuers.Parse(h, c.Issuer)
		c.Issuer = append(c.Issuer, issuer)
	case "resource", "resource_not_in_aud", "scopes_supported":
		err = c.parseResource(h.Dispenser, seen)
	case "session":
		c.Session, err = grants.Parse(h.Dispenser, seen)
	case "token_endpoint":
		c.TokenEndpoint, err = tokenendpoint.Parse(h.Dispenser, seen)
	case "revocation":
		c.Revocation, err = revocation.Parse(h.Dispenser, seen)
	case "login":
		c.Login, err = login.Parse(h.Dispenser, seen)
	case "forward_auth":
		err = c.parseForwardAuth(h.Dispenser, seen)
	case "streams":
		c.Streams, err = streams.Parse(h.Dispenser, seen)
	case "require":
		err = policy.Parse(h, &c.Require)
	case "credentials":
		err = c.parseCredentials(h.Dispenser)
	case "copy_claims":
		err = c.parseClaims(h.Dispenser, &c.CopyClaims)
	case "list_claims":
		err = c.parseClaims(h.Dispenser, &c.ListClaims)
	case "strip_token":
		err = seen.Flag(h.Dispenser, &c.StripToken)
	case "allow_anonymous":
		err = seen.Flag(h.Dispenser, &c.AllowAnonymous)
	case "insecure_upgrades":
		if err = grammar.List(h.Dispenser, &c.InsecureUpgrades); err == nil {
			err = grammar.Wrap(h.Dispenser, tunnel.Check(c.InsecureUpgrades))
		}
	case "audit":
		err = seen.Flag(h.Dispenser, &c.Audit)
	case "realm":
		if err = seen.Text(h.Dispenser, &c.Realm); err == nil {
			err = grammar.Wrap(h.Dispenser, verdict.CheckRealm(c.Realm))
		}
	case "cache":
		var text string
		if err = seen.Text(h.Dispenser, &text); err == nil {
			n, convErr := strconv.Atoi(text)
			if convErr != nil || n < 0 {
				return h.Errf("cache takes a number of entries, 0 for none; not %q", text)
			}
			c.Cache = &n
		}
	default:
		err = unknown(h.Dispenser, word)
	}
	return err
}

func (c *Config) parseClaims(d *caddyfile.Dispenser, to *[]string) error {
	if err := grammar.List(d, to); err != nil {
		return err
	}
	_, err := identity.New(c.CopyClaims, c.ListClaims)
	return grammar.Wrap(d, err)
}

// unknown is the error of a word that an oauth block does not take.
func unknown(d *caddyfile.Dispenser, word string) error {
	if block := blockOf(word); block != "" {
		return d.Errf("%s belongs in a block: %s { %[1]s ... }", word, block)
	}
	if grammar.Nearest(word, strings.Split(Words, ", ")) == "" {
		if near := grammar.Nearest(word, strings.Split(issuers.Words, ", ")); near != "" {
			return d.Errf("unknown word %q in oauth; did you mean %s, in a block: issuer <url> { %[2]s ... }? It takes %s", word, near, Words)
		}
	}
	return grammar.Unknown(d, "oauth", Words)
}

func (c *Config) parseResource(d *caddyfile.Dispenser, seen grammar.Once) (err error) {
	switch d.Val() {
	case "resource":
		if err = seen.Text(d, &c.Resource); err == nil {
			err = grammar.Wrap(d, resource.Check(c.Resource, true)) // whether http will do is not known yet
		}
	case "resource_not_in_aud":
		err = seen.Flag(d, &c.ResourceNotInAud)
	case "scopes_supported":
		if err = grammar.List(d, &c.ScopesSupported); err == nil {
			err = grammar.Wrap(d, c.checkScopesSupported())
		}
	}
	return err
}

func (c *Config) parseCredentials(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	at := credential.Credential{}
	switch {
	case len(args) == 1 && args[0] == "header":
		at.Header = "Authorization"
	case len(args) == 2 && args[0] == "header":
		at.Header = args[1]
	case len(args) == 2 && args[0] == "cookie":
		at.Cookie = args[1]
	case len(args) == 2 && args[0] == "query":
		at.Query = args[1]
	default:
		return d.Errf("credentials takes header [<name>], cookie <name> or query <name>")
	}
	c.Credentials = append(c.Credentials, at)
	_, err := credential.New(c.Credentials, "", false)
	return grammar.Wrap(d, err)
}

func (c *Config) parseForwardAuth(d *caddyfile.Dispenser, seen grammar.Once) (err error) {
	line := d.Token()
	if c.ForwardAuth, err = forwardauth.Parse(d, seen); err != nil {
		return err
	}
	return grammar.At(line, c.checkForwardAuth())
}

// blockOf tells in which block a word belongs that stands elsewhere.
func blockOf(word string) string {
	for block, words := range map[string]string{
		"issuer <url>": issuers.Words, "session": grants.Words, "token_endpoint <path>": tokenendpoint.Words, "forward_auth": forwardauth.Words,
		"login":              login.Words,
		"revocation":         revocation.Words,
		"streams":            streams.Words,
		"introspect [<url>]": introspection.Words,
		"signals":            signals.OwnWords,
	} {
		for known := range strings.SplitSeq(words, ", ") {
			if known == word {
				return block
			}
		}
	}
	return ""
}
