package issuers

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Behind is the grant that a token stands behind; none, if it never began.
type Behind struct {
	Began           time.Time
	Client, Subject string // where the token itself does not say it
}

// CheckRevoked refuses a token that was taken back. Like the hour it is asked on
// each request, whatever is remembered of the token. A grant that began after
// something was taken back is let in, and one that began before is not, however new
// its token.
func (s *Set) CheckRevoked(ctx context.Context, p *token.Principal, behind *Behind) error {
	if s.Revoked.Idle() {
		return nil
	}
	t := p.Revocable()
	if !behind.Began.IsZero() {
		t.Issued, t.Grant = behind.Began.UnixMilli(), true
		t.Client = cmp.Or(t.Client, revoked.MarkOf(behind.Client))
		t.Subject = cmp.Or(t.Subject, revoked.MarkOf(behind.Subject))
	}
	entry, err := s.Revoked.Find(ctx, &t)
	if entry == nil || err != nil {
		return err
	}
	return verdict.OfToken(&token.Refusal{Reason: token.Revoked, Detail: DescribeRevoked(entry)}, p.Issuer)
}

// DescribeRevoked says what was taken back, for the operator.
func DescribeRevoked(e *revoked.Entry) string {
	claim, renew := e.Means()
	what := "all of the issuer"
	for _, one := range []struct{ name, text string }{{"jti", e.ID}, {"sid", e.Session}, {cmp.Or(claim, "sub"), e.Subject}, {"client", e.Client}} {
		if one.text != "" {
			what = fmt.Sprintf("the same %s", one.name)
			break
		}
	}
	if !e.Before.IsZero() {
		what += " that was issued until " + e.Before.UTC().Format(time.RFC3339)
	}
	done := "was taken back"
	if renew {
		done = "was said to be out of date"
	}
	by := fmt.Sprintf("%s %s at %s by %s", what, done, e.Added.UTC().Format(time.RFC3339), e.Source)
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
