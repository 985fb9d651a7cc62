package issuers

import "github.com/caddyserver/caddy/v2"

type noStoredKeys struct{}

// WithoutStoredKeys is a context in which issuers are only looked at: the keys
// that are fetched for them are not stored, and stored ones not taken.
func WithoutStoredKeys(ctx caddy.Context) caddy.Context { return ctx.WithValue(noStoredKeys{}, true) }

func storesNoKeys(ctx caddy.Context) bool { return ctx.Value(noStoredKeys{}) != nil }
