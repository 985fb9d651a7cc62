package issuers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// checkStatusLists looks at the origins that hold no placeholder.
func (i *Issuer) checkStatusLists() error {
	for n, origin := range i.StatusLists {
		if strings.Contains(origin, "{") {
			continue
		}
		if slices.Contains(i.StatusLists[:n], origin) {
			return fmt.Errorf("status_lists: %s is there twice", origin)
		}
		if err := i.checkOrigin(origin); err != nil {
			return fmt.Errorf("status_lists: %w", err)
		}
	}
	return nil
}

func (i *Issuer) checkOrigin(origin string) error {
	if err := as.CheckURL(origin, i.InsecureHTTP); err != nil {
		return err
	}
	if u, err := url.Parse(origin); err != nil || u.Scheme+"://"+u.Host != origin {
		return fmt.Errorf("%.200q is no origin: it takes https://<host>, without a path and without a slash at the end", origin)
	}
	return nil
}

func (i *Issuer) resolveStatusLists(repl *caddy.Replacer) ([]string, error) {
	all, err := grammar.ResolveAll(repl, "status_lists", i.StatusLists)
	for _, origin := range all {
		if err == nil {
			err = i.checkOrigin(origin)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("status_lists: %w", err)
	}
	return all, nil
}

// Standing looks up what became of a token that was verified, where its issuer has
// lists for that. An error is a [*verdict.Rejection], or a failure.
func (t *Trust) Standing(ctx context.Context, facts *token.Facts) error {
	if t.lists == nil || facts.Status.List == "" {
		return nil
	}
	return t.standing(t.lists.Standing(ctx, facts.Status))
}

// StandingNow is Standing by what is in memory; ok is false where that does not
// tell.
func (t *Trust) StandingNow(facts *token.Facts) (ok bool, err error) {
	if t.lists == nil {
		return true, nil
	}
	ok, err = t.lists.StandingNow(facts.Status)
	return ok, t.standing(err)
}

// WatchStatuses has told told when one of the issuer's lists says another thing than
// before, until stop is called. It must not block.
func (t *Trust) WatchStatuses(told func()) (stop func()) {
	if t.lists == nil {
		return func() {}
	}
	return t.lists.WatchStatuses(told)
}

// HasStatusLists reports whether the issuer's lists are looked at.
func (t *Trust) HasStatusLists() bool { return t.lists != nil }

func (t *Trust) standing(err error) error {
	if unknown, ok := errors.AsType[*as.StatusUnknown](err); ok {
		return &verdict.Failure{Reason: verdict.StatusUnavailable, Issuer: t.Profile.Issuer, Lasting: unknown.Lasting, Err: unknown}
	}
	return verdict.OfToken(err, t.Profile.Issuer)
}
