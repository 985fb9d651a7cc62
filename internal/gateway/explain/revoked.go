package explain

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// readRevoked tells that a token was taken back, or that an event has said that it is
// out of date. The list is in the running gateway alone: where there is none to ask,
// nothing is said.
func (e *explaining) readRevoked(ctx context.Context, facts *token.Facts) {
	set := e.gateway.issuers
	if e.trust == nil || set.Revoked == nil || facts.Expiry == 0 {
		return
	}
	p := e.trust.Profile.Principal(e.trust, facts, "", e.u.Claims)
	if !set.Revoked.Idle() {
		e.taken(Step{Check: "taken back", Clause: "RFC 7009 §2", Found: "no entry covers it", Expected: "that nobody took it back"},
			set.CheckRevoked(ctx, p, new(issuers.Behind)))
	}
	if e.trust.Signals != nil && e.how.Held {
		e.taken(Step{Check: "security events", Clause: "OpenID SSF 1.0 §4", Found: "no event concerns it", Expected: "that no event of the transmitter has said otherwise since, and that it is heard of"},
			set.CheckSignals(ctx, p, time.Time{}))
	}
	e.noteKeep(facts)
}

func (e *explaining) taken(step Step, err error) {
	if step.Result = passed; err != nil {
		step.Found = verdict.DetailOf(err)
		e.fail(&step, err)
	}
	e.Checks = append(e.Checks, step)
}

// noteKeep warns of a token that outlives what is remembered of it, once it is taken
// back.
func (e *explaining) noteKeep(facts *token.Facts) {
	left, keeps := time.Unix(facts.Expiry, 0).Sub(e.how.At), e.gateway.issuers.Revoked.Keeps()
	if left > keeps {
		e.Notes = append(e.Notes, fmt.Sprintf("It is good for %s yet, and what is taken back is remembered for %s: taken back now, it would count again then. Write a longer keep into revocation, or have its issuer's tokens live shorter.",
			left.Round(time.Second), keeps))
	}
}
