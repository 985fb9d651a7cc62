package grants

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// siteName is what an operator knows a site by, and what it is known by after a
// reload: its hosts and where it listens. No two sites can have the same. While
// a handler is provisioned the routes before it are there, with their matchers,
// and the one around it is the first whose handlers are not.
func siteName(ctx caddy.Context) string {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return "" // looked at outside of a server
	}
	hosts := hostsAround(server.Routes, nil)
	for _, module := range ctx.Modules() {
		if inner, ok := module.(*caddyhttp.Subroute); ok {
			hosts = hostsAround(inner.Routes, hosts)
		}
	}
	if len(hosts) == 0 {
		hosts = []string{"any host"}
	}
	listen := slices.Sorted(slices.Values(server.Listen))
	return strings.Join(slices.Sorted(slices.Values(hosts)), ", ") + " at " + strings.Join(listen, ", ")
}

// hostsAround are those of the route that is being loaded, or what its parent has.
func hostsAround(routes caddyhttp.RouteList, parent []string) []string {
	n := slices.IndexFunc(routes, func(r caddyhttp.Route) bool { return len(r.HandlersRaw) > 0 })
	if n < 0 {
		return parent // of a named route, or of handle_errors
	}
	var hosts []string
	for _, set := range routes[n].MatcherSets {
		for _, matcher := range set {
			if names, ok := matcher.(*caddyhttp.MatchHost); ok {
				hosts = append(hosts, *names...)
			}
		}
	}
	if len(hosts) == 0 {
		return parent
	}
	return hosts
}
