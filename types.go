package caddyoauth

import (
	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/forwardauth"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/health"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/login"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/gateway/stores"
	"github.com/caddyoauth/caddyoauth/internal/gateway/tokenendpoint"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Principal is who a verified token speaks for, as [Validator.Validate] answers.
type Principal = token.Principal

// Rejection is a verdict: what a request that did not pass is told, in
// handle_errors or to a Go program.
type Rejection = verdict.Rejection

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

// Config is what stands in one oauth block; the others are its parts.
type (
	Config        = config.Config
	Issuer        = issuers.Issuer
	Client        = issuers.Client
	Introspect    = introspection.Introspect
	Session       = grants.Session
	TokenEndpoint = tokenendpoint.TokenEndpoint
	Login         = login.Login
	ForwardAuth   = forwardauth.ForwardAuth
	Requirement   = policy.Requirement
	Credential    = credential.Credential
)

// Health is the module http.handlers.oauth_health.
type Health = health.Handler
