package caddyoauth

import (
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Set is the issuers of one gateway, at least one.
type Set struct {
	trusts   []*trust
	byIssuer map[string]*trust
	opaque   *trust // the one that is asked about opaque tokens; nil: they are refused
	now      func() time.Time
}

// issuerOptions are what a gateway says of all its issuers.
type issuerOptions struct {
	Resource string                // that tokens must be meant for; "": none
	Require  []*policy.Requirement // of every token
	Capacity int                   // how many verified tokens are remembered for each
	Log      *zap.Logger
}

func newSet(now func() time.Time) *Set {
	return &Set{byIssuer: make(map[string]*trust), now: now}
}

// openIssuers prepares issuers. Nothing is fetched before start. What was
// acquired is released by the functions that it answers, also with an error.
func openIssuers(ctx caddy.Context, repl *caddy.Replacer, all []*Issuer, with issuerOptions) (set *Set, release []func(), err error) {
	set = newSet(time.Now)
	for _, issuer := range all {
		trusts, releaseThese, err := issuer.provision(ctx, repl, with)
		release = append(release, releaseThese...)
		if err != nil {
			return nil, release, err
		}
		for _, t := range trusts {
			if err := set.add(t); err != nil {
				return nil, release, err
			}
		}
	}
	return set, release, nil
}

func (s *Set) add(t *trust) error {
	if s.byIssuer[t.profile.Issuer] != nil {
		return alreadyThere(t.profile.Issuer) // by way of placeholders
	}
	s.byIssuer[t.profile.Issuer], t.now = t, func() time.Time { return s.now() }
	s.trusts = append(s.trusts, t)
	if t.introspector != nil {
		s.opaque = t
	}
	return nil
}

// start begins to fetch the keys of every issuer.
func (s *Set) start() {
	for _, t := range s.trusts {
		if t.server != nil {
			t.server.Start()
		}
	}
}

// all are the issuers, in the configuration's order.
func (s *Set) all() []*trust { return s.trusts }

// first is the issuer that new grants are asked of.
func (s *Set) first() *trust { return s.trusts[0] }

// named is the issuer of exactly this name, or nil.
func (s *Set) named(issuer string) *trust { return s.byIssuer[issuer] }

// forOpaque is the issuer that is asked about opaque tokens, or nil.
func (s *Set) forOpaque() *trust { return s.opaque }

// of is the issuer of a principal that was proved by one of these.
func (s *Set) of(p *token.Principal) *trust { return s.byIssuer[p.Issuer] }

// proved reports whether it was one of these that proved a principal, and not
// an issuer of another gateway.
func (s *Set) proved(p *token.Principal) bool {
	return slices.ContainsFunc(s.trusts, func(t *trust) bool { return p.ProvedBy(t) })
}

// names are those of the issuers.
func (s *Set) names() []string {
	names := make([]string, len(s.trusts))
	for i, t := range s.trusts {
		names[i] = t.profile.Issuer
	}
	return names
}

// nearest finds the issuer whose settings say the most about a token: that of
// its name, one whose name differs as people mistype it, or the only one. nil:
// there is none.
func (s *Set) nearest(iss string) (found *trust) {
	if t := s.named(iss); t != nil {
		return t
	}
	for _, t := range s.trusts {
		if len(s.trusts) == 1 || iss != "" && near(iss, t.profile.Issuer) {
			found = t
		}
	}
	return found
}

// near reports whether two issuers differ as people mistype them.
func near(a, b string) bool {
	plain := func(url string) string {
		url = strings.ToLower(strings.TrimRight(url, "/"))
		return strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://")
	}
	return plain(a) == plain(b)
}
