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
	"github.com/caddyoauth/caddyoauth/internal/gateway/streams"
	"github.com/caddyoauth/caddyoauth/internal/gateway/tokenendpoint"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Principal is who a verified token speaks for, as [Validator.Validate] answers.
type Principal = token.Principal

// Rejection is a verdict: what a request that did not pass is told, in
// handle_errors or to a Go program.
type Rejection = verdict.Rejection

// What a module of http.oauth.stores is.
type (
	// Store is a place for grants.
	Store = stores.Store
	// OpenApplier takes settings of a later configuration.
	OpenApplier = stores.OpenApplier
	// Examiner looks at the place before grants are kept there.
	Examiner = stores.Examiner
	// BoltStore is the module http.oauth.stores.bolt.
	BoltStore = stores.BoltStore
	// MemoryStore is the module http.oauth.stores.memory.
	MemoryStore = stores.MemoryStore
)

// The configuration and its parts, by the words of the block.
type (
	// Config is what stands in one oauth block.
	Config = config.Config
	// Issuer is an authorization server that is trusted.
	Issuer = issuers.Issuer
	// Client is who the gateway is at an issuer.
	Client = issuers.Client
	// Introspect is how an issuer is asked about its tokens.
	Introspect = introspection.Introspect
	// Session is how grants are kept.
	Session = grants.Session
	// TokenEndpoint is where clients get their tokens.
	TokenEndpoint = tokenendpoint.TokenEndpoint
	// Login lets browsers log in.
	Login = login.Login
	// Streams is what is said of connections that stay open.
	Streams = streams.Streams
	// ForwardAuth answers another proxy's questions.
	ForwardAuth = forwardauth.ForwardAuth
	// Requirement is what a request needs beyond a valid token.
	Requirement = policy.Requirement
	// Credential is a place where a token may be presented.
	Credential = credential.Credential
)

// Health is the module http.handlers.oauth_health.
type Health = health.Handler
