package caddyoauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// Requirement is something that requests need beyond a valid token: scope or
// a claim.
type Requirement struct {
	// The requests it is about. Default: all that carry a token.
	Match caddyhttp.RawMatcherSets `json:"match,omitempty" caddy:"namespace=http.matchers"`

	// Scope that the token must have, all of it (RFC 6749 §3.3).
	Scope []string `json:"scope,omitempty"`

	// A claim, by name or dotted path, that must have one of the values below,
	// or a list with one of them in it.
	Claim string   `json:"claim,omitempty"`
	Value []string `json:"value,omitempty"`

	matchers caddyhttp.MatcherSets
}

func (q *Requirement) check() error {
	switch {
	case len(q.Scope) > 0 && q.Claim != "":
		return errors.New("require: scope and claim are two requirements: write two")
	case len(q.Scope) == 0 && q.Claim == "":
		return errors.New("require: it takes scope <scope…> or claim <name> <value…>")
	case q.Claim != "" && len(q.Value) == 0:
		return fmt.Errorf("require claim %s: no value", q.Claim)
	}
	for _, word := range q.Scope {
		// RFC 6749 §3.3; a word with a space in it could never be granted.
		if !isScopeWord(word) {
			return fmt.Errorf("require scope: %q is not one scope word", word)
		}
	}
	return nil
}

func (q *Requirement) provision(ctx caddy.Context, repl *caddy.Replacer) (err error) {
	if q.Value, err = resolveAll(repl, "require claim "+q.Claim, q.Value); err != nil {
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

// pathBlind are the matchers that cannot look at the path.
var pathBlind = []string{"method", "header", "header_regexp", "host", "protocol", "query", "remote_ip", "client_ip", "tls"}

func (q *Requirement) readsPath() bool {
	for _, set := range q.Match {
		for name := range set {
			if !slices.Contains(pathBlind, name) {
				return true
			}
		}
	}
	return false
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

func (q *Requirement) holds(p *Principal) bool {
	for _, word := range q.Scope {
		if !p.HasScope(word) {
			return false
		}
	}
	if q.Claim == "" {
		return true
	}
	claim, _ := p.Claim(q.Claim)
	if list, ok := claim.([]any); ok {
		return slices.ContainsFunc(list, q.isValue)
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

// allow sees to it that every requirement that is about r holds. Without a
// principal those with a matcher ask for a token.
func (g *Gateway) allow(r *http.Request, p *Principal) error {
	var failed *Requirement
	var scope []string
	for _, q := range g.Require {
		if p == nil && len(q.matchers) == 0 {
			continue
		}
		if !q.applies(r, g.log) {
			continue
		}
		if p == nil {
			return &Rejection{Status: http.StatusUnauthorized, Reason: noCredential}
		}
		scope = append(scope, q.Scope...)
		if failed == nil && !q.holds(p) {
			failed = q
		}
	}
	if failed == nil {
		return nil
	}
	slices.Sort(scope)
	rejection := &Rejection{
		Status: http.StatusForbidden, Code: insufficientScope, Issuer: p.Issuer,
		Reason: missingScope, Scope: slices.Compact(scope), Description: "the access token lacks scope",
		Detail: fmt.Sprintf("scope is %.200q, required are %q", p.Scope, failed.Scope),
	}
	if failed.Claim != "" {
		// No scope would help, so none is named.
		rejection.Reason, rejection.Scope = missingClaim, nil
		rejection.Description = "the access token lacks a claim that this resource requires"
		rejection.Detail = fmt.Sprintf("the claim %s has none of the values %q", failed.Claim, failed.Value)
	}
	return rejection
}

// isScopeWord is scope-token of RFC 6749 §3.3.
func isScopeWord(word string) bool {
	return word != "" && !strings.ContainsFunc(word, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
}
