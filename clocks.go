package caddyoauth

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// clocksDiffer is a failure: a token fresh from its issuer does not pass by time
// alone. No client can mend that by getting another one.
type clocksDiffer struct{ issuer, how string }

func (e *clocksDiffer) Error() string {
	return "the clocks of " + e.issuer + " and of this gateway differ: " + e.how
}

// Unwrap is what it is to a request.
func (e *clocksDiffer) Unwrap() error {
	return &verdict.Failure{Reason: verdict.GrantUnavailable, Issuer: e.issuer, Lasting: true}
}

// byTime reports whether a token was refused for nothing but the hour.
func byTime(reason string) bool {
	return reason == string(token.Expired) || reason == string(token.NotYetValid)
}

// untimely judges an access token that has just come from the issuer by the
// clock alone. Nil: it can be used now, or cannot be read here.
func (t *trust) untimely(text secret.Text) error {
	times, skew, now := as.ClaimsOf(text).Times(), t.profile.Skew, t.now()
	var how string
	switch {
	case !times.Ends.IsZero() && !now.Add(-skew).Before(times.Ends):
		how = fmt.Sprintf("a fresh access token has run out %s ago", apart(now, times.Ends))
	case now.Add(skew).Before(times.Starts):
		how = fmt.Sprintf("a fresh access token counts only in %s", apart(times.Starts, now))
	default:
		return nil
	}
	return &clocksDiffer{issuer: t.profile.Issuer, how: how + t.clockOf(times, now) + fmt.Sprintf("; skew allows %s", skew)}
}

// clockOf is how far off the issuer's clock is, where the token says when it was
// made.
func (t *trust) clockOf(times token.Times, now time.Time) string {
	switch off := apart(times.Issued, now); {
	case times.Issued.IsZero():
		return ""
	case off.Abs() <= t.profile.Skew:
		return ", though it was issued just now: the issuer's settings are at fault, not its clock"
	case off > 0:
		return fmt.Sprintf(", and was issued %s from now: its clock is ahead, or this one behind", off)
	default:
		return fmt.Sprintf(", and was issued %s ago: its clock is behind, or this one ahead", -off)
	}
}

// agrees reports whether a fresh token was made at about this time: then it does
// not fail by the clocks.
func (t *trust) agrees(text secret.Text) bool {
	issued := as.ClaimsOf(text).Times().Issued
	return !issued.IsZero() && apart(issued, t.now()).Abs() <= t.profile.Skew
}

// apart rounds; a span of centuries is one.
func apart(late, early time.Time) time.Duration { return late.Sub(early).Round(time.Second) }

// isClocks reports whether a failure is one of clocks.
func isClocks(err error) bool {
	_, differ := errors.AsType[*clocksDiffer](err)
	return differ
}
