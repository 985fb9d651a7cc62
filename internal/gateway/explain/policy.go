package explain

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// readPolicy judges what the gateway asks for beyond a valid token. What
// depends on the request is told, and does not decide.
func (e *explaining) readPolicy(facts *token.Facts, readable bool) {
	order, profile := slices.Clone(e.gateway.Require), &token.Profile{Issuer: e.Issuer} // in which they decide
	if e.trust != nil {
		order, profile = slices.Clone(e.trust.Require), &e.trust.Profile
	}
	p := profile.Principal(e.trust, facts, "", e.u.Claims)
	slices.SortStableFunc(order, func(a, b *policy.Requirement) int { return a.Rank() - b.Rank() })
	for _, q := range order {
		e.Checks = append(e.Checks, e.requirementStep(q, p, readable))
	}
	e.noteLogin()
	defer e.readUpstream(p)
	if len(e.gateway.CopyClaims) == 0 {
		return
	}
	step := Step{
		Check: "copy_claims", Result: notReached, Clause: "RFC 9110 §5.5", Found: "not reached: the claims could not be read",
		Expected: "claims that can stand in a header: no CR, LF or NUL",
	}
	if readable {
		step.Result, step.Found = passed, "nothing that could not"
		if rejection, bad := errors.AsType[*verdict.Rejection](e.gateway.identity.Headers(http.Header{}, p)); bad {
			step.Found = rejection.Detail
			e.fail(&step, rejection)
		}
	}
	e.Checks = append(e.Checks, step)
}

func (e *explaining) requirementStep(q *policy.Requirement, p *token.Principal, readable bool) Step {
	step := e.describeRequirement(q, p)
	if !slices.Contains(e.gateway.Require, q) {
		step.Check += " (issuer)"
	}
	holds := readable && q.Holds(p, e.how.At)
	if !q.Everywhere() {
		step.Expected += ", where " + q.MatcherNames() + " fits the request"
	}
	switch {
	case !readable:
		step.Result, step.Found = notReached, "not reached: the claims could not be read, or are of nobody known"
	case holds:
	case !q.Everywhere():
		rejection := q.Reject(p, []*policy.Requirement{q}, e.how.At)
		step.Result, step.Reason = depends, rejection.Reason
		step.Change = fmt.Sprintf("Where the matcher fits, the answer is %d. %s", rejection.Status, e.advice(rejection.Reason))
	default:
		e.fail(&step, q.Reject(p, []*policy.Requirement{q}, e.how.At))
	}
	return step
}

// noteLogin says what a browser's session may have that a client's token has not.
func (e *explaining) noteLogin() {
	switch {
	case !e.how.LogsIn:
		return
	case e.how.Users != "":
		e.Notes = append(e.Notes, "This is how a client is judged that brings it. A browser's session stands for the user who logged in, by the claims of "+e.how.Users+" (identity in login), and with the scope that the log-in was granted.")
	case e.Reason == string(token.IDToken):
		e.Notes = append(e.Notes, "It may stand behind a browser's session all the same: what the issuer grants to a log-in of this gateway is taken with the marks of an ID token.")
	case len(e.how.Claims) > 0:
		e.Notes = append(e.Notes, "A browser's session also has the claims of "+strings.Join(e.how.Claims, " and ")+" (claims in login), which are not known here.")
	case e.Reason == verdict.MissingClaim:
		e.Notes = append(e.Notes, "If the claim stands in the ID token, or is at the userinfo endpoint alone: claims id_token userinfo in login has it count for browsers' sessions. For clients the issuer has to put it into the access token (Keycloak: a mapper with \"Add to access token\").")
	}
}

// describeRequirement tells what is asked and what there is.
func (e *explaining) describeRequirement(q *policy.Requirement, p *token.Principal) Step {
	step := Step{Result: passed, Clause: "RFC 6750 §3.1"}
	claimed := func(name string) {
		value, _ := p.Claim(name)
		step.Found = fmt.Sprintf("%.200q", fmt.Sprint(value))
		at := p.Met(name)
		switch {
		case p.Elsewhere(name):
			step.Found = "no claim " + name + ", and another place to ask for it (_claim_names, hasgroups)"
		case value == nil:
			step.Found = "no claim " + name
		case at != "" && at != name && strings.ContainsAny(name, "./"): // it could have been another member
			step.Found += " at " + at
		}
	}
	switch {
	case len(q.ACR) > 0:
		step.Check, step.Clause, step.Expected = "require acr", "RFC 9470 §3", "one of "+strings.Join(q.ACR, " ")
		claimed("acr")
	case q.MaxAge > 0:
		step.Check, step.Clause = "require max_age", "RFC 9470 §3"
		step.Expected = "auth_time at most " + time.Duration(q.MaxAge).String() + " ago, and the skew"
		claimed("auth_time")
		if age, known := policy.LoginAge(p, e.how.At); known {
			step.Found = fmt.Sprintf("auth_time %s ago", age.Round(time.Second))
		}
	case q.Claim != "":
		step.Check, step.Expected = "require claim "+q.Claim, "one of "+strings.Join(q.Value, " ")
		claimed(q.Claim)
	default:
		step.Check, step.Expected = "require scope", "all of "+strings.Join(q.Scope, " ")
		step.Found = fmt.Sprintf("scope %.200q", p.Scope)
	}
	return step
}

// mostShown is how many characters in a row of a token may be seen.
const mostShown = 19

// hide takes out whatever stands in the token too, however it came there: a
// claim may repeat the signature.
func hide(e *Explanation, secret string) {
	for _, text := range []*string{&e.Gateway, &e.Detail, &e.Change, &e.Issuer, &e.Check} {
		*text = hidden(*text, secret)
	}
	for i := range e.Notes {
		e.Notes[i] = hidden(e.Notes[i], secret)
	}
	for i := range e.Upstream {
		e.Upstream[i] = hidden(e.Upstream[i], secret)
	}
	for i := range e.Checks {
		for _, text := range []*string{&e.Checks[i].Check, &e.Checks[i].Found, &e.Checks[i].Expected, &e.Checks[i].Change} {
			*text = hidden(*text, secret)
		}
	}
}

func hidden(text, secret string) string {
	const window = mostShown + 1
	var out strings.Builder
	kept := 0 // what is before it is written or hidden
	for i := 0; i+window <= len(text); i++ {
		if !strings.Contains(secret, text[i:i+window]) {
			continue
		}
		end := i + window
		for end < len(text) && strings.Contains(secret, text[end-mostShown:end+1]) {
			end++
		}
		out.WriteString(text[kept:i] + "…")
		kept, i = end, end-1
	}
	return out.String() + text[kept:]
}
