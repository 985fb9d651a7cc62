package issuers

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// ClocksDiffer is a failure: a token fresh from its issuer does not pass by time
// alone. No client can mend that by getting another one.
type ClocksDiffer struct {
	Issuer string
	How    string // it shows
}

// Error says whose clock, and how it shows.
func (e *ClocksDiffer) Error() string {
	return "the clocks of " + e.Issuer + " and of this gateway differ: " + e.How
}

// Unwrap is what it is to a request.
func (e *ClocksDiffer) Unwrap() error {
	return &verdict.Failure{Reason: verdict.GrantUnavailable, Issuer: e.Issuer, Lasting: true}
}

// ByTime reports whether a token was refused for nothing but the hour.
func ByTime(reason string) bool {
	return reason == string(token.Expired) || reason == string(token.NotYetValid)
}

// Untimely judges an access token that has just come from the issuer by the
// clock alone. Nil: it can be used now, or cannot be read here.
func (t *Trust) Untimely(text secret.Text) error {
	times, skew, now := as.ClaimsOf(text).Times(), t.Profile.Skew, t.now()
	var how string
	switch {
	case !times.Ends.IsZero() && !now.Add(-skew).Before(times.Ends):
		how = fmt.Sprintf("a fresh access token has run out %s ago", apart(now, times.Ends))
	case now.Add(skew).Before(times.Starts):
		how = fmt.Sprintf("a fresh access token counts only in %s", apart(times.Starts, now))
	default:
		return nil
	}
	return &ClocksDiffer{Issuer: t.Profile.Issuer, How: how + t.clockOf(times, now) + fmt.Sprintf("; skew allows %s", skew)}
}

// clockOf is how far off the issuer's clock is, where the token says when it was
// made.
func (t *Trust) clockOf(times token.Times, now time.Time) string {
	switch off := apart(times.Issued, now); {
	case times.Issued.IsZero():
		return ""
	case off.Abs() <= t.Profile.Skew:
		return ", though it was issued just now: the issuer's settings are at fault, not its clock"
	case off > 0:
		return fmt.Sprintf(", and was issued %s from now: its clock is ahead, or this one behind", off)
	default:
		return fmt.Sprintf(", and was issued %s ago: its clock is behind, or this one ahead", -off)
	}
}

// agrees reports whether a fresh token was made at about this time: then it does
// not fail by the clocks.
func (t *Trust) agrees(text secret.Text) bool {
	issued := as.ClaimsOf(text).Times().Issued
	return !issued.IsZero() && apart(issued, t.now()).Abs() <= t.Profile.Skew
}

// apart rounds; a span of centuries is one.
func apart(late, early time.Time) time.Duration { return late.Sub(early).Round(time.Second) }

// IsClocks reports whether a failure is one of clocks.
func IsClocks(err error) bool {
	_, differ := errors.AsType[*ClocksDiffer](err)
	return differ
}
