// Package login logs browsers in at the first issuer (OpenID Connect Core,
// authorization code with PKCE), and out again: the login block, the paths that
// the gateway answers below its prefix, their pages, and the cookies.
//
// A browser holds a handle in a cookie; its tokens stay with the gateway, which
// keeps them in [grants.Keeper]. A log-in that has begun travels with its browser,
// sealed, so that any node can finish it. The rest of the gateway asks a [Site]
// for the session that a request brings, and whether a log-in answers a refusal.
package login

import (
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/limits"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/gateway/userinfo"
)

// Site is where browsers log in, at the gateway of one site: it answers the
// paths below its prefix, and has a browser's session stand for its access
// token. A nil Site logs no user in.
type Site struct {
	Block  *Login          // provisioned
	Trust  *issuers.Trust  // the issuer where browsers log in, with its client
	Keeper *grants.Keeper  // keeps the sessions
	Limits *limits.Limiter // of that issuer
	Asker  *userinfo.Asker // nil: the issuer's userinfo endpoint is not asked
	Log    *zap.Logger
	Audit  *telemetry.Audit // nil: off
	Now    func() time.Time

	// Prove judges an access token that has come from an issuer, as any other
	// token that a request brings.
	Prove grants.Judge

	// Advise is what an operator is told to change when a token is refused for
	// a reason.
	Advise func(raw, reason string) string
}

// redirect sends a browser elsewhere. Nothing of where it was goes along.
func redirect(w http.ResponseWriter, status int, address string) error {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", address)
	w.WriteHeader(status)
	return nil
}
