package policy

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
)

var requireWords = []string{"scope", "claim", "acr", "max_age"}

// Parse reads:
//
//	require [<matcher>] scope   <scope...>
//	require [<matcher>] claim   <name> <value...>
//	require [<matcher>] acr     <value...>
//	require [<matcher>] max_age <duration>
//
// It adds to those of the gateway, or to those of an issuer.
func Parse(h httpcaddyfile.Helper, to *[]*Requirement) error {
	q := &Requirement{}
	matcher, matched, err := h.MatcherToken()
	if err != nil {
		return h.WrapErr(fmt.Errorf("require: %w", err))
	}
	if matched {
		if matcher != nil {
			q.Match = caddyhttp.RawMatcherSets{matcher}
		}
		h.NextArg()
	}
	if h.Val() == "require" || matched && !slices.Contains(requireWords, h.Val()) {
		return h.Errf("require takes [<matcher>] and then " + requireForms)
	}
	switch what, args := h.Val(), h.RemainingArgs(); {
	case what == "scope" && len(args) > 0:
		q.Scope = args
	case what == "claim" && len(args) > 1:
		q.Claim, q.Value = args[0], args[1:]
	case what == "acr" && len(args) > 0:
		q.ACR = args
	case what == "max_age" && len(args) == 1:
		age, err := caddy.ParseDuration(args[0])
		if err != nil || age <= 0 {
			return h.Errf("require max_age is %q; it takes a duration above zero, such as 5m or 12h", args[0])
		}
		q.MaxAge = caddy.Duration(age)
	default:
		return h.Errf("require %s: it takes [<matcher>] and then %s", what, requireForms)
	}
	*to = append(*to, q)
	return grammar.Wrap(h.Dispenser, q.Check())
}
