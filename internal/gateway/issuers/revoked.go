package issuers

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// CheckRevoked refuses a token that was taken back. Like the hour it is asked on
// each request, whatever is remembered of the token. since is when the grant began
// that the token stands behind; zero: there is none. What began after something was
// taken back is let in, and what began before is not, however new its token.
func (s *Set) CheckRevoked(ctx context.Context, p *token.Principal, since time.Time) error {
	if s.Revoked.Idle() {
		return nil
	}
	t := p.Revocable()
	if !since.IsZero() {
		t.Issued, t.Grant = since.UnixMilli(), true
	}
	entry, err := s.Revoked.Find(ctx, &t)
	if entry == nil || err != nil {
		return err
	}
	return verdict.OfToken(&token.Refusal{Reason: token.Revoked, Detail: DescribeRevoked(entry)}, p.Issuer)
}

// DescribeRevoked says what was taken back, for the operator.
func DescribeRevoked(e *revoked.Entry) string {
	what := "all of the issuer"
	for _, one := range []struct{ name, text string }{{"jti", e.ID}, {"sid", e.Session}, {"sub", e.Subject}, {"client", e.Client}} {
		if one.text != "" {
			what = fmt.Sprintf("the same %s", one.name)
			break
		}
	}
	if !e.Before.IsZero() {
		what += " that was issued until " + e.Before.UTC().Format(time.RFC3339)
	}
	by := fmt.Sprintf("%s was taken back at %s by %s", what, e.Added.UTC().Format(time.RFC3339), e.Source)
	if e.Reason != "" {
		by += fmt.Sprintf(": %.200q", e.Reason)
	}
	return by
}

// NamesOf are what tokens call each issuer, and what it is called here.
func (s *Set) NamesOf() map[string]string {
	names := map[string]string{}
	for name, t := range s.byIssuer {
		names[name] = t.Profile.Issuer
	}
	return names
}
