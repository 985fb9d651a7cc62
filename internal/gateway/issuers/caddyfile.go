package issuers

import (
	"errors"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/gateway/providers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/signals"
	"github.com/caddyoauth/caddyoauth/internal/gateway/user"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Words are those of the block.
const Words = "provider, audience, client_id_as_audience, access_token_issuer, algorithms, token_type, skew, metadata, jwks, authorization_endpoint, token_endpoint, userinfo_endpoint, end_session_endpoint, user, bearer_token_file, status_lists, introspect, signals, client, trust_pool, insecure_http, insecure_any_audience, insecure_id_tokens, require"

// Parse reads the block of an issuer. others are those before it.
//
//	issuer <url...> {              (no URL with a provider that has one)
//		provider   <name> [<what it takes>]
//		audience   <aud...>
//		client_id_as_audience
//		access_token_issuer <text>
//		algorithms <alg...>
//		token_type at+jwt
//		skew       <duration>
//		metadata   <url>
//		jwks       <url|path>
//		authorization_endpoint <url>
//		token_endpoint         <url>
//		userinfo_endpoint      <url>
//		end_session_endpoint   <url>
//		user       <url> { ... }
//		bearer_token_file      <path>
//		status_lists <origin...>
//		introspect [<url>] { ... }
//		signals    [<transmitter_url>] { ... }
//		client     <id> [<secret>] { ... }
//		trust_pool <module...>
//		insecure_http
//		insecure_any_audience
//		insecure_id_tokens
//		require [<matcher>] ...      (of this issuer's tokens alone)
//	}
func Parse(h httpcaddyfile.Helper, others []*Issuer) (*Issuer, error) {
	d, issuer := h.Dispenser, &Issuer{}
	line := d.Token()
	if issuer.URL = d.RemainingArgs(); slices.Contains(issuer.URL, "") {
		return nil, d.Errf("issuer takes one or more URLs")
	}
	issuer.line = line
	err := grammar.Block(d, func(d *caddyfile.Dispenser, seen grammar.Once) error {
		if d.Val() == "require" { // it may name a matcher of the site
			return policy.Parse(h, &issuer.Require)
		}
		return issuer.parseWord(d, seen)
	})
	if err != nil {
		return nil, err
	}
	if err := issuer.Fill(); err != nil {
		return nil, grammar.At(line, err)
	}
	if len(issuer.URL) == 0 {
		return nil, grammar.At(line, errors.New("issuer takes one or more URLs, unless a provider in its block has one"))
	}
	for _, url := range issuer.names() {
		if slices.ContainsFunc(others, func(other *Issuer) bool { return slices.Contains(other.names(), url) }) {
			return nil, grammar.At(line, alreadyThere(url))
		}
	}
	return issuer, grammar.At(line, issuer.check())
}

// Short is that of the short form, of a URL with audiences behind it.
func Short(words []string, line caddyfile.Token) (*Issuer, error) {
	issuer := &Issuer{URL: words[:1], Audience: words[1:], line: line}
	return issuer, issuer.check()
}

// At says of an error where the issuer's block begins, if it came from a
// Caddyfile.
func (i *Issuer) At(err error) error { return grammar.At(i.line, err) }

// text is where the one argument of a word goes; nil: it is another kind of word.
func (i *Issuer) text(word string) *string {
	switch word {
	case "access_token_issuer":
		return &i.AccessTokenIssuer
	case "metadata":
		return &i.Metadata
	case "jwks":
		return &i.JWKS
	case "authorization_endpoint":
		return &i.AuthorizationEndpoint
	case "token_endpoint":
		return &i.TokenEndpoint
	case "userinfo_endpoint":
		return &i.UserinfoEndpoint
	case "end_session_endpoint":
		return &i.EndSessionEndpoint
	case "bearer_token_file":
		return &i.BearerTokenFile
	}
	return nil
}

func (i *Issuer) parseWord(d *caddyfile.Dispenser, seen grammar.Once) error {
	if to := i.text(d.Val()); to != nil {
		return seen.Text(d, to)
	}
	switch d.Val() {
	case "audience":
		return grammar.List(d, &i.Audience)
	case "status_lists":
		return grammar.List(d, &i.StatusLists)
	case "algorithms":
		if err := grammar.List(d, &i.Algorithms); err != nil {
			return err
		}
		_, err := token.ParseAlgorithms(i.Algorithms)
		return grammar.Wrap(d, err)
	case "token_type":
		if err := seen.Text(d, &i.TokenType); err != nil {
			return err
		}
		if i.TokenType != StrictType {
			return d.Errf("token_type is %q; it takes %s, or leave it out", i.TokenType, StrictType)
		}
	case "skew":
		return i.parseSkew(d, seen)
	case "client_id_as_audience":
		return seen.Flag(d, &i.ClientIDAsAudience)
	case "introspect", "signals", "user", "provider":
		return i.parseFurther(d, seen)
	case "client":
		return i.parseClient(d, seen)
	case "trust_pool":
		return seen.TrustPool(d, &i.TrustPool)
	case "insecure_http":
		return seen.Flag(d, &i.InsecureHTTP)
	case "insecure_any_audience":
		return seen.Flag(d, &i.InsecureAnyAudience)
	case "insecure_id_tokens":
		return seen.Flag(d, &i.InsecureIDTokens)
	default:
		return grammar.Unknown(d, "issuer", Words)
	}
	return nil
}

// parseFurther reads the words that have a room of their own.
func (i *Issuer) parseFurther(d *caddyfile.Dispenser, seen grammar.Once) (err error) {
	if d.Val() == "user" {
		i.User, err = user.Parse(d, seen)
		return err
	}
	word := d.Val()
	if err := seen.First(d); err != nil {
		return err
	}
	switch word {
	case "introspect":
		i.Introspect, err = introspection.Parse(d)
	case "signals":
		i.Signals, err = signals.Parse(d)
	case "provider":
		if i.Provider = d.RemainingArgs(); len(i.Provider) == 0 {
			return d.Errf("provider takes a name: one of %s", strings.Join(providers.Names(), ", "))
		}
	}
	return err
}

func (i *Issuer) parseSkew(d *caddyfile.Dispenser, seen grammar.Once) error {
	var text string
	if err := seen.Text(d, &text); err != nil {
		return err
	}
	skew, err := caddy.ParseDuration(text)
	if err != nil || skew < 0 || skew > MaxSkew {
		return d.Errf("skew is %q; it takes a duration from 0s to 60s", text)
	}
	i.Skew = (*caddy.Duration)(&skew)
	return nil
}
