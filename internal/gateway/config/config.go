// Package config is what stands in one oauth block: its fields, which are the
// manual, its grammar, what is wrong with it, and finding such blocks in a
// configuration of Caddy's.
package config

import (
	"slices"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/forwardauth"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/login"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/gateway/revocation"
	"github.com/caddyoauth/caddyoauth/internal/gateway/streams"
	"github.com/caddyoauth/caddyoauth/internal/gateway/tokenendpoint"
	"github.com/caddyoauth/caddyoauth/internal/resource"
)

// Config is what stands in one oauth block: what the gateway is told, and
// nothing that it needs only while it runs.
//
// It has no method that Caddy looks for on a module (Provision, Validate,
// Cleanup, CaddyModule, UnmarshalCaddyfile): Gateway embeds it, and Caddy would
// take the promoted one.
type Config struct {
	// The authorization servers whose tokens are accepted, at least one. A key
	// of one never verifies a token of another.
	Issuer []*issuers.Issuer `json:"issuer,omitempty"`

	// How grants are kept and refreshed. With it, or with token_endpoint or
	// login, reference tokens are taken beside the issuers' own.
	Session *grants.Session `json:"session,omitempty"`

	// This API's URL as a protected resource. Tokens must have exactly this text
	// in their aud claim, whatever audience their issuer has besides. Clients
	// find its metadata at the well-known URL of RFC 9728 §3.1, without a token,
	// and challenges lead there. Default: none.
	Resource string `json:"resource,omitempty"`

	// Tokens need not have the resource in their aud: for an issuer that cannot
	// write it there. What must be there is audience of each issuer block, and
	// nothing else tells tokens for this API from those for a neighbour that
	// shares the audience. Default: off.
	ResourceNotInAud bool `json:"resource_not_in_aud,omitempty"`

	// Scopes for scopes_supported in the metadata of the resource, beside those
	// that every request needs: clients may ask for them, and none is required.
	// Many clients ask for all that they find there. Default: none.
	ScopesSupported []string `json:"scopes_supported,omitempty"`

	// Where API clients get their tokens through the gateway. Default: nowhere.
	TokenEndpoint *tokenendpoint.TokenEndpoint `json:"token_endpoint,omitempty"`

	// How what was taken back is remembered, and who may take back. Without the
	// block there is a list, too, which operators and log-outs of the issuer fill.
	Revocation *revocation.Revocation `json:"revocation,omitempty"`

	// Let browsers log in. Default: off.
	Login *login.Login `json:"login,omitempty"`

	// Answer another proxy's questions about its requests, and forward
	// nothing. Default: off.
	ForwardAuth *forwardauth.ForwardAuth `json:"forward_auth,omitempty"`

	// Connections that stay open end with what let them in. How is said here.
	// Default: as its words say.
	Streams *streams.Streams `json:"streams,omitempty"`

	// What a request needs beyond a valid token. Every requirement whose
	// matcher fits must hold; one without a matcher holds for every request
	// with a token. It is about tokens of every issuer: what one of several may
	// grant belongs in require of its issuer block.
	Require []*policy.Requirement `json:"require,omitempty"`

	// Where a token may be presented. Default: the Authorization header alone.
	Credentials []credential.Credential `json:"credentials,omitempty"`

	// Claims that the upstream gets as headers, each "claim>Header", or
	// "claim" for a header of that name with - for _ and dots. Clients cannot
	// set these headers: what they send under these names, in any spelling,
	// is removed from every request.
	CopyClaims []string `json:"copy_claims,omitempty"`

	// Claims that are lists: their placeholder is a list even when the token
	// has one value or none. Default: groups and roles.
	ListClaims []string `json:"list_claims,omitempty"`

	// Keep the token from the upstream.
	StripToken bool `json:"strip_token,omitempty"`

	// Let requests with no credential at all pass, unauthenticated. A bad
	// credential is still refused, and a requirement with a matcher still
	// holds.
	AllowAnonymous bool `json:"allow_anonymous,omitempty"`

	// Protocols besides WebSocket that a request may turn its connection into
	// (Upgrade), such as h2c. All that comes in such a connection reaches the
	// upstream unjudged, other requests and forged identity headers included.
	// Default: none.
	InsecureUpgrades []string `json:"insecure_upgrades,omitempty"`

	// The realm of challenges (RFC 9110 §11.5). Default: none.
	Realm string `json:"realm,omitempty"`

	// Write who did what and what became of it, a line for each request, as the
	// logger http.handlers.oauth.audit. Default: off.
	Audit bool `json:"audit,omitempty"`

	// How many verified tokens are remembered for each issuer, at half a kilobyte
	// each, until they run out or their key is withdrawn. One whose claims are
	// asked for, and take more, counts for more. 0 turns remembering off.
	// Default: 100000.
	Cache *int `json:"cache,omitempty"`
}

// ResourceInAud is what each token must have in its aud, whatever audience its
// issuer has besides, or "".
func (c *Config) ResourceInAud() string {
	if c.ResourceNotInAud {
		return ""
	}
	return c.Resource
}

// CountsByAddress reports whether there are limits for each remote address.
func (c *Config) CountsByAddress() bool {
	return c.TokenEndpoint != nil || c.Login != nil ||
		slices.ContainsFunc(c.Issuer, func(i *issuers.Issuer) bool { return i.Introspect != nil })
}

// OwnPaths are all that the gateway answers itself, whatever matcher the
// directive has. Nothing of them is ever forwarded.
func (c *Config) OwnPaths() (paths []string) {
	if c.TokenEndpoint != nil {
		paths = append(paths, c.TokenEndpoint.Paths()...)
	}
	if c.Login != nil {
		paths = append(paths, c.Login.Paths()...)
	}
	paths = append(paths, c.Revocation.Paths()...)
	for _, issuer := range c.Issuer {
		if issuer.Signals != nil && issuer.Signals.Push != "" {
			paths = append(paths, issuer.Signals.Push)
		}
	}
	if c.Resource != "" {
		paths = append(paths, resource.Paths(c.Resource)...)
	}
	return paths
}

// KeepsGrants reports whether there are reference tokens or sessions beside the
// issuers' own tokens.
func (c *Config) KeepsGrants() bool {
	return c.Session != nil || c.TokenEndpoint != nil || c.Login != nil
}

// Capacity is how many verified tokens are remembered for each issuer.
func (c *Config) Capacity() int {
	if c.Cache == nil {
		return issuers.DefaultCache
	}
	return *c.Cache
}
