package caddyoauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"
)

const unixPeer = "unix"

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
func (g *Gateway) checkForwardAuth() error {
	f := g.ForwardAuth
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
		if status != http.StatusBadRequest && status != http.StatusUnauthorized && status != http.StatusForbidden {
			return fmt.Errorf("forward_auth: statuses: a refusal is never %d; it takes 400, 401 and 403", status)
		}
	}
	if len(f.Statuses) > 0 && !slices.Contains(f.Statuses, http.StatusUnauthorized) {
		return errors.New("forward_auth: statuses without 401, which stands for those that are left out")
	}
	for _, c := range g.Credentials {
		if (g.Session != nil || g.TokenEndpoint != nil) && !strings.EqualFold(c.Header, "Authorization") {
			return fmt.Errorf("forward_auth: credentials %s: the proxy would leave a reference token there for the upstream; with session or token_endpoint only the Authorization header can be used", c.Header+c.Cookie+c.Query)
		}
	}
	return g.checkForwardHeaders(f.headers())
}

func (g *Gateway) checkForwardHeaders(method, uri string) error {
	id, err := newIdentity(g.CopyClaims, g.ListClaims)
	if err != nil {
		return err
	}
	for _, name := range []string{method, uri} {
		folded := fold(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name) || strings.ContainsAny(name, "_."):
			return fmt.Errorf("forward_auth: %q is not a header's name of letters, digits and -", name)
		case slices.Contains(reserved, folded) || slices.Contains(id.names, folded) ||
			slices.ContainsFunc(g.Credentials, func(c Credential) bool { return fold(c.Header) == folded }):
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
	if err := g.ForwardAuth.provision(repl); err != nil {
		return err
	}
	events, err := ctx.App("events")
	if err != nil {
		return fmt.Errorf("getting the events app: %w", err)
	}
	return events.(*caddyevents.App).On("started", onEvent(func() { g.lookAround(ctx) }))
}

func (f *ForwardAuth) provision(repl *caddy.Replacer) error {
	from, err := resolveAll(repl, "forward_auth: from", f.From)
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

// errSkipped is the answer to every question where some would not get here.
var errSkipped = errors.New("forward_auth stands behind a matcher, such as a site's host name: to questions that it skips Caddy answers 200, which the proxy takes for a yes; give it a site of its own without a host, such as :9091")

// lookAround finds out, once everything is there, whether a matcher keeps
// questions from the gateway. Caddy answers 200 to what nobody handles, so a
// client that chooses its Host could pass. Those the gateway never sees; but if
// it answers no others either, nobody runs it like that.
func (g *Gateway) lookAround(ctx caddy.Context) {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		skipped := g.isSkipped(server.Routes, false)
		for _, named := range server.NamedRoutes { // who invokes it, and where, is not followed
			skipped = skipped || g.isSkipped(caddyhttp.RouteList{*named}, true)
		}
		if skipped {
			g.ForwardAuth.skipped.Store(true)
			g.log.Error("no question is answered", zap.Error(errSkipped))
		}
	}
}

func (g *Gateway) isSkipped(routes caddyhttp.RouteList, matched bool) bool {
	for n, route := range routes {
		some := matched || len(route.MatcherSets) > 0 ||
			slices.ContainsFunc(routes[:n], func(before caddyhttp.Route) bool { return takesFrom(before, route) })
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *Gateway:
				if h == g {
					return some
				}
			case *caddyhttp.Subroute:
				if g.isSkipped(h.Routes, some) {
					return true
				}
			}
		}
	}
	return false
}

// takesFrom tells whether a route keeps requests from a later one: another site
// on the same listener, or another block of one group. A path is no matter,
// since the proxy chooses that of its question.
func takesFrom(before, route caddyhttp.Route) bool {
	if len(before.MatcherSets) == 0 {
		return false
	}
	if !before.Terminal && (before.Group == "" || before.Group != route.Group) {
		return false
	}
	return slices.ContainsFunc(before.MatcherSets, func(set caddyhttp.MatcherSet) bool {
		return slices.ContainsFunc(set, func(matcher any) bool {
			switch matcher.(type) {
			case caddyhttp.MatchPath, *caddyhttp.MatchPath:
				return false
			}
			return true
		})
	})
}
