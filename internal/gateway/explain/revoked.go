package explain

import (
	"context"

	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// readRevoked tells that a token was taken back. The list is in the running gateway
// alone: where there is none to ask, nothing is said.
func (e *explaining) readRevoked(ctx context.Context, facts *token.Facts) {
	set := e.gateway.issuers
	if e.trust == nil || set.Revoked.Idle() || facts.Expiry == 0 {
		return
	}
	err := set.CheckRevoked(ctx, e.trust.Profile.Principal(e.trust, facts, "", token.Claims{}), new(issuers.Behind))
	step := Step{Check: "taken back", Result: passed, Clause: "RFC 7009 §2", Found: "no entry covers it", Expected: "that nobody took it back"}
	if err != nil {
		step.Found = verdict.DetailOf(err)
		e.fail(&step, err)
	}
	e.Checks = append(e.Checks, step)
}
