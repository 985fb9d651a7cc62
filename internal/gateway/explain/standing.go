package explain

import (
	"context"
	"fmt"

	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// readStanding tells what the status list says that the token names, where the
// issuer's are looked at.
func (e *explaining) readStanding(ctx context.Context, facts *token.Facts) {
	if !e.trust.HasStatusLists() || facts.Status.List == "" {
		return
	}
	step := Step{
		Check: "status list", Result: passed, Clause: "Token Status List §8.3",
		Found: fmt.Sprintf("idx %d is valid", facts.Status.Index), Expected: "valid, in the list at " + facts.Status.List,
	}
	known := true
	var err error
	if e.how.Held {
		known, err = e.trust.StandingNow(facts)
	} else {
		err = e.trust.Standing(ctx, facts)
	}
	switch {
	case err != nil:
		step.Found = verdict.DetailOf(err)
		e.fail(&step, err)
	case !known:
		step.Result, step.Found = notReached, "the list is not in memory, and nothing is fetched for this"
	}
	e.Checks = append(e.Checks, step)
}
