package issuers

import (
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/gateway/revocation"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Set is the issuers of one gateway, at least one.
type Set struct {
	Now     func() time.Time // by which tokens are judged
	Revoked *revocation.Site // what was taken back; nil: nothing is

	trusts   []*Trust
	byIssuer map[string]*Trust
	prefixes []prefix // of opaque tokens, the longest first
	others   []*Trust // that are asked about opaque tokens with none of these, in this order
}

// Options are what a gateway says of all its issuers.
type Options struct {
	Resource string                // that tokens must be meant for; "": none
	Require  []*policy.Requirement // of every token
	Capacity int                   // how many verified tokens are remembered for each
	Log      *zap.Logger
}

// Open prepares the issuers of a gateway. Nothing is fetched before [Set.Start].
// What was acquired is released by the functions that it answers, also with an
// error.
func Open(ctx caddy.Context, repl *caddy.Replacer, all []*Issuer, with Options) (set *Set, release []func(), err error) {
	set = &Set{Now: time.Now, byIssuer: make(map[string]*Trust)}
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

func (s *Set) add(t *Trust) error {
	names := []string{t.Profile.Issuer}
	if t.Profile.Tokens != "" {
		names = append(names, t.Profile.Tokens)
	}
	for _, name := range names {
		if s.byIssuer[name] != nil {
			return alreadyThere(name) // by way of placeholders
		}
		s.byIssuer[name] = t
	}
	t.now = func() time.Time { return s.Now() }
	s.trusts = append(s.trusts, t)
	s.ask(t)
	return nil
}

// Start begins to fetch the keys of every issuer.
func (s *Set) Start() {
	for _, t := range s.trusts {
		if t.Server != nil {
			t.Server.Start()
		}
		if t.Signals != nil {
			t.Signals.Start()
		}
	}
}

// All are the issuers, in the configuration's order.
func (s *Set) All() []*Trust { return s.trusts }

// First is the issuer that new grants are asked of.
func (s *Set) First() *Trust { return s.trusts[0] }

// Named is the issuer of exactly this name, or whose access tokens name it, or
// nil: the iss of a token only selects among those that are configured.
func (s *Set) Named(issuer string) *Trust { return s.byIssuer[issuer] }

// Of is the issuer of a principal that was proved by one of these.
func (s *Set) Of(p *token.Principal) *Trust { return s.byIssuer[p.Issuer] }

// Proved reports whether it was one of these that proved a principal, and not
// an issuer of another gateway.
func (s *Set) Proved(p *token.Principal) bool {
	return slices.ContainsFunc(s.trusts, func(t *Trust) bool { return p.ProvedBy(t) })
}

// Names are those of the issuers.
func (s *Set) Names() []string {
	names := make([]string, len(s.trusts))
	for i, t := range s.trusts {
		if names[i] = t.Profile.Tokens; names[i] == "" {
			names[i] = t.Profile.Issuer
		}
	}
	return names
}

// Addresses are the names of issuers that lead to their metadata, as clients look
// for them (RFC 9728 §2).
func (s *Set) Addresses() (found []string) {
	for _, t := range s.trusts {
		if name := t.Profile.Issuer; strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "http://") {
			found = append(found, name)
		}
	}
	return found
}

// Nearest finds the issuer whose settings say the most about a token: that of
// its name, one whose name differs as people mistype it, or the only one. nil:
// there is none.
func (s *Set) Nearest(iss string) (found *Trust) {
	if t := s.Named(iss); t != nil {
		return t
	}
	for _, t := range s.trusts {
		if len(s.trusts) == 1 || iss != "" && (Alike(iss, t.Profile.Issuer) || Alike(iss, t.Profile.Tokens)) {
			found = t
		}
	}
	return found
}

// Alike reports whether two names of issuers differ only as people mistype them.
func Alike(a, b string) bool {
	plain := func(url string) string {
		url = strings.ToLower(strings.TrimRight(url, "/"))
		return strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://")
	}
	return plain(a) == plain(b)
}
