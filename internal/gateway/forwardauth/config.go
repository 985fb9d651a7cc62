package forwardauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/identity"
	"github.com/caddyoauth/caddyoauth/internal/lenient"
)

const unixPeer = "unix"

// The mark of a yes. A 200 that is not the gateway's own, such as Caddy's to a
// request that reaches no handler, has none, and a client can put none there:
// it is a header of the answer, which proxies should look for.
const (
	verdictHeader = "X-Oauth-Verdict"
	verdictPass   = "pass"
)

// refusalStatuses are those that a refusal can have, or a way to log in.
var refusalStatuses = []int{http.StatusFound, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooEarly}

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

// Check finds what is wrong without looking outside: with the block itself, and
// with copy_claims and credentials beside it. keepsGrants: reference tokens are
// taken. Nil is right: there is no block.
func (f *ForwardAuth) Check(copyClaims []string, credentials []credential.Credential, keepsGrants bool) error {
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
			return fmt.Errorf("forward_auth: statuses: a refusal is never %d; it takes 302 with login, 400, 401, 403 and 425", status)
		}
	}
	if len(f.Statuses) > 0 && !slices.Contains(f.Statuses, http.StatusUnauthorized) {
		return errors.New("forward_auth: statuses without 401, which stands for those that are left out")
	}
	for _, c := range credentials {
		if keepsGrants && !strings.EqualFold(c.Header, "Authorization") {
			return fmt.Errorf("forward_auth: credentials %s: the proxy would leave a reference token there for the upstream; with session or token_endpoint only the Authorization header can be used", c.Header+c.Cookie+c.Query)
		}
	}
	return f.checkHeaders(copyClaims, credentials)
}

func (f *ForwardAuth) checkHeaders(copyClaims []string, credentials []credential.Credential) error {
	id, err := identity.New(copyClaims, nil)
	if err != nil {
		return err
	}
	if id.Takes(verdictHeader) {
		return fmt.Errorf("copy_claims: with forward_auth the header %s says that a request may pass", verdictHeader)
	}
	method, uri := f.headers()
	for _, name := range []string{method, uri} {
		folded := lenient.Fold(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name) || strings.ContainsAny(name, "_."):
			return fmt.Errorf("forward_auth: %q is not a header's name of letters, digits and -", name)
		case id.Takes(name) || folded == lenient.Fold(verdictHeader) ||
			slices.ContainsFunc(credentials, func(c credential.Credential) bool { return lenient.Fold(c.Header) == folded }):
			return fmt.Errorf("forward_auth: the header %s has a use of its own", name)
		}
	}
	if lenient.Fold(method) == lenient.Fold(uri) {
		return fmt.Errorf("forward_auth: method and uri are both %s", method)
	}
	return nil
}

// parsePeer reads an address or a network. One that holds all addresses
// is an error: any client could have anything judged.
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

// Provision makes the block ready for the handler that answers the questions,
// which is being provisioned with ctx, and refuses a place where not every
// question would get to it.
func (f *ForwardAuth) Provision(ctx caddy.Context, repl *caddy.Replacer, handler caddy.Module) error {
	if f == nil {
		return nil
	}
	if err := checkPlace(ctx, handler); err != nil {
		return err
	}
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
