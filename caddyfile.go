package caddyoauth

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
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
	config, err := config.Parse(h)
	if err != nil {
		return nil, err
	}
	if matcher != nil && config.ForwardAuth != nil {
		return nil, h.Err("forward_auth takes no matcher: to questions that it skips Caddy would answer 200, and the proxy would let them pass")
	}
	g := &Gateway{Config: *config}
	routes := h.NewRoute(matcher, g)
	paths := g.OwnPaths()
	if matcher == nil || len(paths) == 0 {
		return routes, nil
	}
	own := caddy.ModuleMap{"path": caddyconfig.JSON(paths, nil)}
	return append(h.NewRoute(own, g), routes...), nil
}
