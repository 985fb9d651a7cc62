package policy

import (
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/lenient"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Rules are what the requests of a gateway need beyond a valid token.
type Rules struct {
	All   []*Requirement // those of issuer blocks too
	looks looks          // at what of a request they look
}

// Provision prepares the requirements of a gateway and of its issuer blocks.
func (rules *Rules) Provision(ctx caddy.Context, repl *caddy.Replacer, blocks ...[]*Requirement) error {
	rules.All = slices.Concat(blocks...)
	for _, q := range rules.All {
		rules.looks |= q.looks() // before provision: loading takes the raw matchers
		if err := q.provision(ctx, repl); err != nil {
			return err
		}
	}
	return nil
}

// LackedScope is scope that every request with p's token needs, and that it does
// not have.
func LackedScope(requirements []*Requirement, p *token.Principal, now time.Time) []string {
	for _, q := range requirements {
		if q.Everywhere() && len(q.Scope) > 0 && !q.Holds(p, now) {
			return q.Scope
		}
	}
	return nil
}

// OfflineAccess asks for a refresh token (OpenID Connect Core §11). No API has a
// use for it.
const OfflineAccess = "offline_access"

// Needed is the scope that a request needs by those of requirements that are
// about it. Whoever sent it is not known.
func (rules *Rules) Needed(r *http.Request, requirements []*Requirement) []string {
	if r.Method == http.MethodConnect { // for a WebSocket, as it is judged
		r = r.WithContext(r.Context())
		r.Method = http.MethodGet
	}
	var others []string
	if rules.looks&atMethod != 0 {
		others, _ = otherMethods(r)
	}
	var fit []*Requirement
	for _, q := range requirements {
		// A matcher that fails is logged where a token is judged.
		if len(q.Scope) > 0 && q.appliesAs(r, others, zap.NewNop()) {
			fit = append(fit, q)
		}
	}
	return slices.DeleteFunc(scopeOf(fit), func(word string) bool { return word == OfflineAccess })
}

// Fit are the requirements that a request has to meet, of those of its token's issuer.
type Fit struct {
	first uint64         // of the first 64, by their place
	more  []*Requirement // of all others
}

func (f *Fit) add(place int, q *Requirement) {
	if place < 64 {
		f.first |= 1 << place
	} else {
		f.more = append(f.more, q)
	}
}

// Still sees to it that they hold for who sent the request, by what is known of p now.
// of are those of the issuer; at is when the request came.
func (f Fit) Still(p *token.Principal, of []*Requirement, at time.Time) error {
	var fit []*Requirement
	for i, q := range of[:min(len(of), 64)] {
		if f.first&(1<<i) != 0 {
			fit = append(fit, q)
		}
	}
	return hold(append(fit, f.more...), p, at)
}

// hold sees to it that all of fit hold.
func hold(fit []*Requirement, p *token.Principal, now time.Time) error {
	var failed *Requirement
	for _, q := range fit {
		if (failed == nil || q.Rank() < failed.Rank()) && !q.Holds(p, now) {
			failed = q
		}
	}
	if failed == nil {
		return nil
	}
	return failed.Reject(p, fit, now)
}

// Allow sees to it that every requirement of those about r holds: of of, which
// are about the tokens of p's issuer; and it answers which they are. Without a principal those of all issuers
// count: where the tokens of some issuer need more, no token at all is not
// enough. Those with a matcher ask for a token then.
func (rules *Rules) Allow(r *http.Request, p *token.Principal, of []*Requirement, now time.Time, log *zap.Logger) (needs Fit, err error) {
	var room [8]*Requirement // most have no more: nothing is allocated
	fit := room[:0]
	var others []string // methods that r may be taken for; check has refused it if they are none
	if rules.looks&atMethod != 0 {
		others, _ = otherMethods(r)
	}
	if p == nil {
		of = rules.All
	}
	for i, q := range of {
		if p == nil && q.Everywhere() {
			continue
		}
		if !q.appliesAs(r, others, log) {
			continue
		}
		if p == nil {
			return needs, &verdict.Rejection{Status: http.StatusUnauthorized, Reason: verdict.NoCredential, LogIn: true}
		}
		fit = append(fit, q)
		needs.add(i, q)
	}
	return needs, hold(fit, p, now)
}

// Check refuses requests whose path, method, query or host an upstream may read
// in another way than the requirements here.
func (rules *Rules) Check(r *http.Request) error {
	if rules.looks&atPath != 0 {
		lenient.Strip(r.Header, pathHeaders)
	}
	if err := CheckPath(r.URL, rules.looks&atPath != 0); err != nil {
		return err
	}
	return rules.looks.checkTarget(r)
}
