package caddyoauth

import (
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

func init() {
	httpcaddyfile.RegisterDirective("oauth", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("oauth", httpcaddyfile.After, "basic_auth")
}

// parseDirective makes a route under the user's matcher, and one for the
// gateway's own paths, which answer whatever that matcher says.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	g, err := parseCaddyfile(h)
	if err != nil {
		return nil, err
	}
	if matcher != nil && g.ForwardAuth != nil {
		return nil, h.Err("forward_auth takes no matcher: to questions that it skips Caddy would answer 200, and the proxy would let them pass")
	}
	routes := h.NewRoute(matcher, g)
	paths := g.ownPaths()
	if matcher == nil || len(paths) == 0 {
		return routes, nil
	}
	own := caddy.ModuleMap{"path": caddyconfig.JSON(paths, nil)}
	return append(h.NewRoute(own, g), routes...), nil
}

// parseCaddyfile reads the directive. Syntax:
//
//	oauth [<matcher>] [<issuer_url> <audience...>] {
//		issuer <url...> {
//			audience   <aud...>
//			algorithms <alg...>
//			token_type at+jwt
//			skew       <duration>
//			metadata   <url>
//			jwks       <url|path>
//			introspect [<url>] { always   cache <duration>   rate <n>   insecure_any_token }
//			client     <id> [<secret>] { auth <method>   key <file>   assertion_audience <url> }
//			trust_pool <module...>
//			insecure_http
//			insecure_any_audience
//			insecure_id_tokens
//			require [<matcher>] ...      (as below, of this issuer's tokens alone)
//		}
//		require [<matcher>] scope <scope...>
//		require [<matcher>] claim <name> <value...>
//		require [<matcher>] acr <value...>
//		require [<matcher>] max_age <duration>
//		resource <url>
//		session { ... }                      (parseSession)
//		token_endpoint <path...> { ... }     (parseTokenEndpoint)
//		login [<prefix>] { ... }             (parseLogin)
//		forward_auth { ... }                 (parseForwardAuth)
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
func parseCaddyfile(h httpcaddyfile.Helper) (*Gateway, error) {
	h.Next() // the directive's name
	g := &Gateway{}
	args := h.RemainingArgs()
	short := len(args) > 0
	if short {
		g.Issuer = append(g.Issuer, &Issuer{URL: args[:1], Audience: args[1:], line: h.Token()})
		if err := g.Issuer[0].check(); err != nil {
			return nil, h.WrapErr(fmt.Errorf("oauth: %w", err))
		}
	}
	seen := make(grammar.Once)
	for nesting := h.Nesting(); h.NextBlock(nesting); {
		if err := g.parseWord(h, seen); err != nil {
			return nil, err
		}
	}
	for n, issuer := range g.Issuer { // now that it is known whether there is a resource
		err := issuer.checkAudience(g.Resource)
		if n == 0 && short && err != nil {
			err = fmt.Errorf(`oauth: no audience behind the issuer %s: write "oauth %[1]s <audience>"`, issuer.URL[0])
		}
		if err != nil {
			return nil, grammar.At(issuer.line, err)
		}
	}
	if err := g.check(); err != nil {
		return nil, h.WrapErr(fmt.Errorf("oauth: %w", err))
	}
	return g, nil
}

const gatewayWords = "issuer, resource, session, token_endpoint, login, forward_auth, require, credentials, copy_claims, list_claims, strip_token, allow_anonymous, insecure_upgrades, realm, audit, cache"

func (g *Gateway) parseWord(h httpcaddyfile.Helper, seen grammar.Once) (err error) {
	switch word := h.Val(); word {
	case "issuer":
		err = g.parseIssuer(h)
	case "resource":
		if err = seen.Text(h.Dispenser, &g.Resource); err == nil {
			err = grammar.Wrap(h.Dispenser, checkResource(g.Resource, true)) // whether http will do is not known yet
		}
	case "session":
		err = g.parseSession(h.Dispenser, seen)
	case "token_endpoint":
		err = g.parseTokenEndpoint(h.Dispenser, seen)
	case "login":
		err = g.parseLogin(h.Dispenser, seen)
	case "forward_auth":
		err = g.parseForwardAuth(h.Dispenser, seen)
	case "require":
		err = parseRequire(h, &g.Require)
	case "credentials":
		err = g.parseCredentials(h.Dispenser)
	case "copy_claims":
		if err = grammar.List(h.Dispenser, &g.CopyClaims); err == nil {
			_, err = newIdentity(g.CopyClaims, nil)
			err = grammar.Wrap(h.Dispenser, err)
		}
	case "list_claims":
		err = grammar.List(h.Dispenser, &g.ListClaims)
	case "strip_token":
		err = seen.Flag(h.Dispenser, &g.StripToken)
	case "allow_anonymous":
		err = seen.Flag(h.Dispenser, &g.AllowAnonymous)
	case "insecure_upgrades":
		if err = grammar.List(h.Dispenser, &g.InsecureUpgrades); err == nil {
			err = grammar.Wrap(h.Dispenser, checkUpgrades(g.InsecureUpgrades))
		}
	case "audit":
		err = seen.Flag(h.Dispenser, &g.Audit)
	case "realm":
		if err = seen.Text(h.Dispenser, &g.Realm); err == nil {
			err = grammar.Wrap(h.Dispenser, verdict.CheckRealm(g.Realm))
		}
	case "cache":
		var text string
		if err = seen.Text(h.Dispenser, &text); err == nil {
			n, convErr := strconv.Atoi(text)
			if convErr != nil || n < 0 {
				return h.Errf("cache takes a number of entries, 0 for none; not %q", text)
			}
			g.Cache = &n
		}
	default:
		if block := blockOf(word); block != "" {
			return h.Errf("%s belongs in a block: %s { %[1]s ... }", word, block)
		}
		err = h.Errf("unknown word %q in oauth; it takes %s", word, gatewayWords)
	}
	return err
}

func (g *Gateway) parseCredentials(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	c := Credential{}
	switch {
	case len(args) == 1 && args[0] == "header":
		c.Header = "Authorization"
	case len(args) == 2 && args[0] == "header":
		c.Header = args[1]
	case len(args) == 2 && args[0] == "cookie":
		c.Cookie = args[1]
	case len(args) == 2 && args[0] == "query":
		c.Query = args[1]
	default:
		return d.Errf("credentials takes header [<name>], cookie <name> or query <name>")
	}
	g.Credentials = append(g.Credentials, c)
	_, err := newPlaces(g.Credentials)
	return grammar.Wrap(d, err)
}
