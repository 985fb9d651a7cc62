package issuers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/providers"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Check finds what is wrong with the issuers of a gateway, without looking at
// placeholders or files. resource is what tokens must be for, or "".
//
// users: browsers log in at the first, and their sessions stand for its users.
func Check(all []*Issuer, resource string, users bool) error {
	if len(all) == 0 {
		return errors.New(`no issuer: write "oauth <issuer_url> <audience>" or an issuer block`)
	}
	seen := map[string]bool{}
	for n, issuer := range all {
		if err := issuer.Fill(); err != nil {
			return err
		}
		if err := issuer.check(); err != nil {
			return err
		}
		if err := issuer.CheckAudience(resource, users && n == 0); err != nil {
			return err
		}
		for _, url := range issuer.names() {
			if seen[url] {
				return alreadyThere(url)
			}
			seen[url] = true
		}
	}
	return nil
}

// Fill adds the words of its provider that are not written, once.
func (i *Issuer) Fill() error {
	if i == nil || i.filled || len(i.Provider) == 0 {
		return nil
	}
	i.filled = true
	return providers.FillIssuer(i.Provider, i)
}

// check finds what is wrong without looking at placeholders or files.
func (i *Issuer) check() error {
	if i == nil { // null, in JSON
		i = new(Issuer)
	}
	name := strings.Join(i.URL, " ")
	_, algErr := token.ParseAlgorithms(i.Algorithms)
	switch {
	case len(i.URL) == 0 || slices.Contains(i.URL, ""):
		return errors.New("an issuer without a URL")
	case slices.Contains(i.Audience, ""):
		return fmt.Errorf("issuer %s: an empty audience", name)
	case len(i.Audience) > 0 && i.InsecureAnyAudience:
		return fmt.Errorf("issuer %s: audience and insecure_any_audience exclude each other", name)
	case algErr != nil:
		return fmt.Errorf("issuer %s: %w", name, algErr)
	case i.TokenType != "" && i.TokenType != StrictType:
		return fmt.Errorf("issuer %s: token_type is %q; it takes %s, or leave it out", name, i.TokenType, StrictType)
	case i.TokenType != "" && i.InsecureIDTokens:
		return fmt.Errorf("issuer %s: token_type %s and insecure_id_tokens exclude each other", name, StrictType)
	case i.Skew != nil && (*i.Skew < 0 || time.Duration(*i.Skew) > MaxSkew):
		return fmt.Errorf("issuer %s: skew is %s; it takes 0s to 60s", name, time.Duration(*i.Skew))
	case i.ClientIDAsAudience && len(i.Audience) == 0:
		return fmt.Errorf("issuer %s: client_id_as_audience needs audience <client id…>: it says which clients' tokens are for this API", name)
	case i.Client != nil && !i.GrantsTokens() && i.Introspect == nil && i.User == nil:
		return fmt.Errorf("issuer %s: client has no use with jwks alone: without metadata nobody can tell where the token endpoint is. Write metadata <url> or token_endpoint <url> too", name)
	case i.TrustPool != nil && IsKeyFile(i.JWKS):
		return fmt.Errorf("issuer %s: trust_pool has no use with keys from a file", name)
	}
	if err := i.checkNames(); err != nil {
		return fmt.Errorf("issuer %s: %w", name, err)
	}
	if i.Client != nil {
		if err := i.Client.check(); err != nil {
			return fmt.Errorf("issuer %s: %w", name, err)
		}
	}
	for _, require := range i.Require {
		if err := require.Check(); err != nil {
			return fmt.Errorf("issuer %s: %w", name, err)
		}
	}
	if err := i.checkStatusLists(); err != nil {
		return fmt.Errorf("issuer %s: %w", name, err)
	}
	if err := i.checkIntrospect(); err != nil {
		return fmt.Errorf("issuer %s: %w", name, err)
	}
	if err := i.checkSignals(); err != nil {
		return fmt.Errorf("issuer %s: %w", name, err)
	}
	return i.checkURLs()
}

// checkIntrospect looks at what an issuer needs for being asked.
func (i *Issuer) checkIntrospect() error {
	switch n := i.Introspect; {
	case n == nil:
		return nil
	case i.Client == nil:
		return errors.New(`introspect needs a client: the endpoint answers nobody who does not prove who he is (RFC 7662 §2.1). Write "client <id> <secret>" in the issuer block`)
	case len(i.URL) > 1:
		return errors.New("introspect is for one issuer, and not for several URLs: a token of one would be shown to another. Use a block for each")
	case !i.HasMetadata() && n.URL == "":
		return errors.New(`introspect needs a URL with jwks: without metadata nobody can tell where the endpoint is. Write "introspect <url>"`)
	case n.Lightweight && i.TokenType != "":
		return fmt.Errorf("introspect: lightweight and token_type %s exclude each other: a lightweight token lacks claims of that profile (RFC 9068 §2.2). Leave token_type out", i.TokenType)
	case n.InsecureAnyToken && !i.InsecureAnyAudience:
		return errors.New("introspect: insecure_any_token has a use with insecure_any_audience alone: where there is an audience, what the answer has to name is that. Leave it out")
	default:
		return n.Check()
	}
}

// CheckAudience requires an answer to who tokens must be meant for. users: there are
// sessions that need none; without one no client's token is taken.
func (i *Issuer) CheckAudience(resource string, users bool) error {
	name := strings.Join(i.URL, " ")
	switch {
	case resource != "" && i.InsecureAnyAudience:
		return fmt.Errorf("issuer %s: resource and insecure_any_audience exclude each other: with resource, tokens are for it (resource_not_in_aud takes that away)", name)
	case resource == "" && len(i.Audience) == 0 && !i.InsecureAnyAudience && !users:
		return fmt.Errorf("issuer %s: no audience: add it behind the URL or as \"audience <aud…>\" (or take the risk of insecure_any_audience)", name)
	}
	return nil
}

// checkURLs looks at the addresses that hold no placeholder; the others are
// looked at when they are known.
func (i *Issuer) checkURLs() error {
	for n, url := range i.URL {
		switch {
		case slices.Contains(i.URL[:n], url):
			return alreadyThere(url)
		case strings.Contains(url, "{"):
		default:
			if err := i.CheckURL(url); err != nil {
				return err
			}
		}
	}
	words := i.byHand()
	words["metadata"], words["jwks"] = i.Metadata, i.JWKS
	if i.Introspect != nil {
		words["introspect"] = i.Introspect.URL
	}
	if s := i.Signals; s != nil {
		words["signals"], words["signals: metadata"], words["signals: poll_endpoint"] = s.URL, s.Metadata, s.PollEndpoint
	}
	for word, url := range words {
		if url == "" || strings.Contains(url, "{") || word == "jwks" && IsKeyFile(url) {
			continue
		}
		if err := as.CheckURL(url, i.InsecureHTTP); err != nil {
			return fmt.Errorf("issuer %s: %s: %w", i.URL[0], word, err)
		}
	}
	return nil
}

func alreadyThere(url string) error {
	return fmt.Errorf("the issuer %s is there twice: put its settings into one issuer block", url)
}

// IsKeyFile reports whether the word jwks names a file, and not an address.
func IsKeyFile(jwks string) bool {
	return jwks != "" && !strings.HasPrefix(jwks, "https://") && !strings.HasPrefix(jwks, "http://") && !strings.HasPrefix(jwks, "{")
}
