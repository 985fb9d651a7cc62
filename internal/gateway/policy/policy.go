// Package policy is what a request needs beyond a valid token, and which requests
// can be judged at all: those that the upstream reads as the requirements do.
package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Requirement is something that requests need beyond a valid token: scope, a
// claim, or how or when the user logged in.
type Requirement struct {
	// The requests it is about. Default: all that carry a token.
	Match caddyhttp.RawMatcherSets `json:"match,omitempty" caddy:"namespace=http.matchers"`

	// Scope that the token must have, all of it (RFC 6749 §3.3).
	Scope []string `json:"scope,omitempty"`

	// A claim, by its name, its path with dots, or a JSON pointer that begins
	// with a slash (RFC 6901). It must have one of the values below, or be a list
	// with one of them in it, or an object with one of them as a key.
	Claim string   `json:"claim,omitempty"`
	Value []string `json:"value,omitempty"`

	// Ways to log in, by their names at the issuer, in order of preference: the
	// token's acr claim must be one of them (RFC 9470). A token without the
	// claim does not do.
	ACR []string `json:"acr,omitempty"`

	// How long ago the user may have logged in, in whole seconds: by the token's
	// auth_time claim, and with the issuer's skew on top (RFC 9470). A token
	// without the claim does not do.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	matchers caddyhttp.MatcherSets
}

const requireForms = "scope <scope…>, claim <name> <value…>, acr <value…> or max_age <duration>"

// Check finds what is wrong with the requirement itself.
func (q *Requirement) Check() error {
	if q == nil { // null, in JSON
		q = new(Requirement)
	}
	kinds := 0
	for _, is := range []bool{len(q.Scope) > 0, q.Claim != "", len(q.ACR) > 0, q.MaxAge != 0} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return errors.New("require: scope, claim, acr and max_age are requirements of their own: write two")
	case kinds == 0:
		return errors.New("require: it takes " + requireForms)
	case q.Claim != "" && len(q.Value) == 0:
		return fmt.Errorf("require claim %s: no value", q.Claim)
	case q.Claim != "" && token.CheckPath(q.Claim) != nil:
		return fmt.Errorf("require claim: %w", token.CheckPath(q.Claim))
	case q.MaxAge < 0 || time.Duration(q.MaxAge)%time.Second != 0:
		return fmt.Errorf("require max_age: %s is not a number of whole seconds above zero", time.Duration(q.MaxAge))
	}
	for _, word := range q.Scope {
		if !IsScopeWord(word) {
			return fmt.Errorf("require scope: %q is not one scope word", word)
		}
	}
	for _, word := range q.ACR {
		if !IsScopeWord(word) {
			return fmt.Errorf("require acr: %q is not one word, as acr values are", word)
		}
	}
	return nil
}

// IsScopeWord reports whether a text is a word of a scope (RFC 6749 §3.3), or of acr values, which a
// challenge lists with spaces between: one with a space in it could never be
// granted.
func IsScopeWord(word string) bool {
	return word != "" && !strings.ContainsFunc(word, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
}

func (q *Requirement) provision(ctx caddy.Context, repl *caddy.Replacer) (err error) {
	if q.Value, err = grammar.ResolveAll(repl, "require claim "+q.Claim, q.Value); err != nil {
		return err
	}
	if q.ACR, err = grammar.ResolveAll(repl, "require acr", q.ACR); err != nil {
		return err
	}
	if err := q.Check(); err != nil { // now that its placeholders are known
		return err
	}
	if len(q.Match) == 0 {
		return nil
	}
	sets, err := ctx.LoadModule(q, "Match")
	if err != nil {
		return fmt.Errorf("require: loading its matcher: %w", err)
	}
	return q.matchers.FromInterface(sets)
}

// applies reports whether the requirement is about r. A matcher that fails
// leaves it in force: closed, not open.
func (q *Requirement) applies(r *http.Request, log *zap.Logger) bool {
	if len(q.matchers) == 0 {
		return true
	}
	ok, err := q.matchers.AnyMatchWithError(r)
	if err != nil {
		log.Error("a matcher of require failed; the requirement holds", zap.Error(err))
		return true
	}
	return ok
}

// Everywhere reports whether the requirement is about every request with a token.
func (q *Requirement) Everywhere() bool { return len(q.matchers) == 0 }

// MatcherNames tells a requirement's matchers apart, as far as that can be
// said in a line.
func (q *Requirement) MatcherNames() string {
	var sets []string
	for _, set := range q.matchers {
		var names []string
		for _, m := range set {
			name := strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", m), "*"))
			if _, short, ok := strings.Cut(name, ".match"); ok {
				name = short
			}
			names = append(names, name)
		}
		slices.Sort(names)
		sets = append(sets, strings.Join(names, " and "))
	}
	return "its matcher (" + strings.Join(sets, ", or ") + ")"
}

// Holds reports whether a principal has what is required.
func (q *Requirement) Holds(p *token.Principal, now time.Time) bool {
	switch {
	case len(q.ACR) > 0:
		return q.LoggedInAs(p)
	case q.MaxAge > 0:
		return q.LoggedInSince(p, now)
	case q.Claim != "":
		return q.claimed(p)
	}
	for _, word := range q.Scope {
		if !p.HasScope(word) {
			return false
		}
	}
	return true
}

func (q *Requirement) claimed(p *token.Principal) bool {
	claim, _ := p.Claim(q.Claim)
	switch v := claim.(type) {
	case []any:
		return slices.ContainsFunc(v, q.isValue)
	case map[string]any:
		return slices.ContainsFunc(token.Granted(v), func(name string) bool { return slices.Contains(q.Value, name) })
	}
	return q.isValue(claim)
}

// isValue compares a claim's text: strings as they are, numbers and booleans
// as JSON writes them.
func (q *Requirement) isValue(claim any) bool {
	switch v := claim.(type) {
	case string:
		return slices.Contains(q.Value, v)
	case json.Number:
		return slices.Contains(q.Value, string(v))
	case bool:
		return slices.Contains(q.Value, fmt.Sprint(v))
	}
	return false
}

// Rank orders the requirements that failed: the lowest one makes the answer. A
// claim comes first, because no log-in and no scope mends it. Then 401 before
// 403: a user who must log in again gets the scope on the same way.
func (q *Requirement) Rank() int {
	switch {
	case q.Claim != "":
		return 0
	case len(q.ACR) > 0 || q.MaxAge > 0:
		return 1
	}
	return 2
}

// Reject says what is wrong with a token for which the requirement does not
// hold, and all that a better one needs for a request that fit is about.
func (q *Requirement) Reject(p *token.Principal, fit []*Requirement, now time.Time) *verdict.Rejection {
	switch q.Rank() {
	case 0:
		if p.Elsewhere(q.Claim) {
			return &verdict.Rejection{
				Status: http.StatusForbidden, Code: verdict.InsufficientScope, Issuer: p.Issuer, Reason: verdict.ClaimElsewhere,
				Description: "the access token leaves out a claim that this resource requires, since there is too much of it",
				Detail:      fmt.Sprintf("the token has no %s, and names another place for it (_claim_names, hasgroups), which is not asked", q.Claim),
			}
		}
		return &verdict.Rejection{ // no scope would help, so none is named
			Status: http.StatusForbidden, Code: verdict.InsufficientScope, Issuer: p.Issuer, Reason: verdict.MissingClaim,
			Description: "the access token lacks a claim that this resource requires",
			Detail:      fmt.Sprintf("the claim %s has none of the values %q", q.Claim, q.Value),
		}
	case 1:
		return q.rejectLogin(p, fit, now)
	}
	return &verdict.Rejection{
		Status: http.StatusForbidden, Code: verdict.InsufficientScope, Issuer: p.Issuer, Reason: verdict.MissingScope,
		Scope: scopeOf(fit), Description: "the access token lacks scope",
		Detail: fmt.Sprintf("scope is %.200q, required are %q", p.Scope, q.Scope),
	}
}

// scopeOf is all the scope that requirements ask for.
func scopeOf(fit []*Requirement) (scope []string) {
	for _, q := range fit {
		scope = append(scope, q.Scope...)
	}
	slices.Sort(scope)
	return slices.Compact(scope)
}
