package as

import (
	"context"
	"net/url"
	"slices"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// Named are endpoints that the operator names, whatever the metadata say of them.
// They are asked wherever they are.
type Named struct{ Authorization, Token, UserInfo, EndSession string }

// hasMetadata reports whether there are metadata to be read.
func (cfg *Config) hasMetadata() bool { return !cfg.Plain && (cfg.JWKS == "" || cfg.Metadata != "") }

// metadataAddress is the operator's word on where the metadata are. An issuer that
// has them elsewhere is a name, and leads nowhere.
func (cfg *Config) metadataAddress() string {
	if cfg.Metadata != "" {
		return cfg.Metadata
	}
	return cfg.Issuer
}

// contextFor is a context for asking an endpoint: on the operator's words, or on those of
// metadata that came from somewhere.
func (cfg *Config) contextFor(ctx context.Context, endpoint string, from zone) context.Context {
	if slices.Contains([]string{cfg.Named.Authorization, cfg.Named.Token, cfg.Named.UserInfo, cfg.Named.EndSession}, endpoint) {
		ctx, _ = allowAnyAddress(ctx, cfg.dialing().zone)
		return ctx
	}
	return restrictAddress(ctx, from)
}

// Bearer reads a token that is shown to who has the metadata and the keys, as
// Kubernetes wants it. It is read for each fetch, since it changes.
type Bearer func() (secret.Text, error)

// shows reports whether the bearer token goes to an address: one of the
// operator's words, or one that metadata name at the host that they came from. To
// another it would be given away. So it would to a place that has lists of statuses.
func (s *Server) shows(ctx context.Context, address string) bool {
	if t, _ := ctx.Value(routeKey{}).(*route); t != nil && t.own && !t.hidden {
		return true
	}
	a, err := url.Parse(address)
	b, otherErr := url.Parse(s.metaAt)
	return err == nil && otherErr == nil && a.Scheme == b.Scheme && a.Host == b.Host
}
