package caddyoauth

// What else is inside. Nothing imports these rooms for what they have: a build
// that leaves one of these lines out is without that command or module, and has
// all the rest.
import (
	_ "github.com/caddyoauth/caddyoauth/internal/gateway/admin"        // /oauth/grants, /oauth/revocations, /oauth/issuers, /oauth/status and /oauth/stores on Caddy's admin endpoint
	_ "github.com/caddyoauth/caddyoauth/internal/gateway/backup"       // caddy oauth backup
	_ "github.com/caddyoauth/caddyoauth/internal/gateway/convert"      // caddy oauth convert
	_ "github.com/caddyoauth/caddyoauth/internal/gateway/doctor"       // caddy oauth doctor
	_ "github.com/caddyoauth/caddyoauth/internal/gateway/explain"      // caddy oauth explain, and /oauth/explain on Caddy's admin endpoint
	_ "github.com/caddyoauth/caddyoauth/internal/gateway/grantlist"    // caddy oauth grants
	_ "github.com/caddyoauth/caddyoauth/internal/gateway/revoke"       // caddy oauth revoke
	_ "github.com/caddyoauth/caddyoauth/internal/gateway/sidecar"      // caddy oauth sidecar
	_ "github.com/caddyoauth/caddyoauth/internal/gateway/status"       // caddy oauth status
	_ "github.com/caddyoauth/caddyoauth/internal/gateway/subscription" // caddy oauth signals
)
