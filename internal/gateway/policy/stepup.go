package policy

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Requirements on how and when the user logged in (RFC 9470). The issuer says
// both in the token (RFC 9068 §2.2.1); what it does not say does not hold.

// LoggedInAs reports whether the user logged in one of the ways required.
func (q *Requirement) LoggedInAs(p *token.Principal) bool {
	acr, _ := p.Claim("acr")
	way, ok := acr.(string)
	return ok && slices.Contains(q.ACR, way)
}

// LoggedInSince reports whether the user logged in recently enough, as far as
// the clocks can tell. A log-in that is still to come is none.
func (q *Requirement) LoggedInSince(p *token.Principal, now time.Time) bool {
	age, known := LoginAge(p, now)
	return known && age >= -p.Skew && age <= time.Duration(q.MaxAge)+p.Skew
}

// century is far beyond any log-in, in seconds, and within a duration.
const century = 100 * 365 * 24 * 3600

// LoginAge is the time since auth_time. One that is out of a duration's range
// is not known.
func LoginAge(p *token.Principal, now time.Time) (age time.Duration, known bool) {
	claim, _ := p.Claim("auth_time")
	number, ok := claim.(json.Number)
	if !ok {
		return 0, false
	}
	at, err := number.Float64()
	seconds := float64(now.UnixNano())/float64(time.Second) - at
	if err != nil || math.Abs(seconds) > century {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// rejectLogin asks for another log-in (RFC 9470 §3). It names all that fit asks
// of one, and not only what failed: a log-in that mends the one must not lose
// the other. The same for scope, where that is missing too.
func (q *Requirement) rejectLogin(p *token.Principal, fit []*Requirement, now time.Time) *verdict.Rejection {
	rejection := &verdict.Rejection{Status: http.StatusUnauthorized, Code: verdict.InsufficientLogIn, Issuer: p.Issuer, ACR: q.ACR, MaxAge: time.Duration(q.MaxAge)}
	apart := false
	for _, other := range fit {
		if limit := time.Duration(other.MaxAge); limit > 0 && (rejection.MaxAge == 0 || limit < rejection.MaxAge) {
			rejection.MaxAge = limit
		}
		if both := inBoth(rejection.ACR, other.ACR); len(both) > 0 {
			rejection.ACR = both
		} else if len(other.ACR) > 0 {
			apart = true
		}
		if other.Rank() == 2 && !other.Holds(p, now) {
			rejection.Scope = scopeOf(fit)
		}
	}
	if apart {
		rejection.ACR = nil // each log-in would undo the last
	}
	if len(q.ACR) > 0 {
		acr, _ := p.Claim("acr")
		rejection.Reason, rejection.Description = verdict.WeakLogIn, "a stronger log-in is required"
		rejection.Detail = fmt.Sprintf("acr is %s, required is one of %q", Told(acr), q.ACR)
		if apart {
			rejection.Detail += ", and of other lists that have nothing in common with it: no way to log in meets them all"
		}
		return rejection
	}
	rejection.Reason, rejection.Description = verdict.OldLogIn, "a more recent log-in is required"
	rejection.Detail = fmt.Sprintf("auth_time is %s, required is max_age %s", ToldAge(p, now), time.Duration(q.MaxAge))
	return rejection
}

// inBoth are the words of a that are in b too. A list that is empty asks for
// nothing.
func inBoth(a, b []string) (both []string) {
	if len(a) == 0 {
		return b
	}
	for _, word := range a {
		if slices.Contains(b, word) {
			both = append(both, word)
		}
	}
	return both
}

// Told is a claim for the operator.
func Told(claim any) string {
	if claim == nil {
		return "absent"
	}
	return fmt.Sprintf("%.120q", fmt.Sprint(claim))
}

// ToldAge is the time since the log-in for the operator, or the claim as it is.
func ToldAge(p *token.Principal, now time.Time) string {
	claim, _ := p.Claim("auth_time")
	age, known := LoginAge(p, now)
	if !known {
		return Told(claim)
	}
	return fmt.Sprintf("%s ago", age.Round(time.Second))
}
