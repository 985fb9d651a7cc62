package caddyoauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
)

const unixPeer = "unix"

// The mark of a yes. A 200 that is not the gateway's own, such as Caddy's to a
// request that reaches no handler, has none, and a client can put none there:
// it is a header of the answer, which proxies should look for.
const (
	verdictHeader = "X-Oauth-Verdict"
	verdictPass   = "pass"
)

// refusalStatuses are those that a refusal can have.
var refusalStatuses = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooEarly}

func (f *ForwardAuth) headers() (method, uri string) {
	method, uri = "X-Forwarded-Method", "X-Forwarded-Uri"
	if f.Method != "" {
		method = http.CanonicalHeaderKey(f.Method)
	}
	if f.URI != "" {
		uri = http.CanonicalHeaderKey(f.URI)
	}
	return method, uri
}

// checkForwardAuth finds what is wrong without looking outside.
func (config *Config) checkForwardAuth() error {
	f := config.ForwardAuth
	if f == nil {
		return nil
	}
	if len(f.From) == 0 {
		return errors.New("forward_auth: no from: list the addresses of the proxies that ask")
	}
	for _, from := range f.From {
		if strings.Contains(from, "{") || from == unixPeer {
			continue // placeholders are looked at when they are replaced
		}
		if _, err := parsePeer(from); err != nil {
			return err
		}
	}
	for _, status := range f.Statuses {
		if !slices.Contains(refusalStatuses, status) {
			return fmt.Errorf("forward_auth: statuses: a refusal is never %d; it takes 400, 401, 403 and 425", status)
		}
	}
	if len(f.Statuses) > 0 && !slices.Contains(f.Statuses, http.StatusUnauthorized) {
		return errors.New("forward_auth: statuses without 401, which stands for those that are left out")
	}
	for _, c := range config.Credentials {
		if (config.Session != nil || config.TokenEndpoint != nil) && !strings.EqualFold(c.Header, "Authorization") {
			return fmt.Errorf("forward_auth: credentials %s: the proxy would leave a reference token there for the upstream; with session or token_endpoint only the Authorization header can be used", c.Header+c.Cookie+c.Query)
		}
	}
	return config.checkForwardHeaders(f.headers())
}

func (config *Config) checkForwardHeaders(method, uri string) error {
	id, err := newIdentity(config.CopyClaims, config.ListClaims)
	if err != nil {
		return err
	}
	if slices.Contains(id.names, fold(verdictHeader)) {
		return fmt.Errorf("copy_claims: with forward_auth the header %s says that a request may pass", verdictHeader)
	}
	for _, name := range []string{method, uri} {
		folded := fold(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name) || strings.ContainsAny(name, "_."):
			return fmt.Errorf("forward_auth: %q is not a header's name of letters, digits and -", name)
		case slices.Contains(reserved, folded) || slices.Contains(id.names, folded) || folded == fold(verdictHeader) ||
			slices.ContainsFunc(config.Credentials, func(c Credential) bool { return fold(c.Header) == folded }):
			return fmt.Errorf("forward_auth: the header %s has a use of its own", name)
		}
	}
	if fold(method) == fold(uri) {
		return fmt.Errorf("forward_auth: method and uri are both %s", method)
	}
	return nil
}

// parsePeer reads an address or a network. One that holds everybody is an
// error: anybody could have anything judged.
func parsePeer(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if address, addressErr := netip.ParseAddr(text); err != nil && addressErr == nil {
		address = address.Unmap()
		prefix, err = address.Prefix(address.BitLen())
	}
	switch {
	case err != nil || prefix.Addr().Is4In6() || prefix.Addr().Zone() != "":
		return prefix, fmt.Errorf("forward_auth: from %s: not an address, a network such as 10.0.0.0/8, or unix", text)
	case prefix.Bits() == 0:
		return prefix, fmt.Errorf("forward_auth: from %s: that is everybody; list the proxies", text)
	}
	return prefix.Masked(), nil
}

func (g *Gateway) provisionForwardAuth(ctx caddy.Context, repl *caddy.Replacer) error {
	if g.ForwardAuth == nil {
		return nil
	}
	if err := g.checkPlace(ctx); err != nil {
		return err
	}
	return g.ForwardAuth.provision(repl)
}

func (f *ForwardAuth) provision(repl *caddy.Replacer) error {
	from, err := grammar.ResolveAll(repl, "forward_auth: from", f.From)
	if err != nil {
		return err
	}
	for _, text := range from {
		if text == unixPeer {
			f.unix = true
			continue
		}
		peer, err := parsePeer(text)
		if err != nil {
			return err
		}
		f.peers = append(f.peers, peer)
	}
	f.method, f.uri = f.headers()
	return nil
}
