package caddyoauth

import (
	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/health"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/gateway/stores"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Principal is who a verified token speaks for, as [Validator.Validate] answers.
type Principal = token.Principal

// Rejection is a verdict: what a request that did not pass is told, in
// handle_errors or to a Go program.
type Rejection = verdict.Rejection

// Issuer is an authorization server that is trusted, Client who the gateway is
// there, and Introspect how it is asked about its tokens.
type (
	Issuer     = issuers.Issuer
	Client     = issuers.Client
	Introspect = introspection.Introspect
)

// Health is the module http.handlers.oauth_health.
type Health = health.Handler

// Store, OpenApplier and Examiner are what a module of http.oauth.stores is.
type (
	Store       = stores.Store
	OpenApplier = stores.OpenApplier
	Examiner    = stores.Examiner
)

// BoltStore and MemoryStore are the modules http.oauth.stores.bolt and .memory.
type (
	BoltStore   = stores.BoltStore
	MemoryStore = stores.MemoryStore
)

// Credential and Requirement are parts of the configuration.
type (
	Credential  = credential.Credential
	Requirement = policy.Requirement
)
