package caddyoauth

import (
	"context"
	"errors"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// isOf tells whether the access token of a grant speaks for the one that the
// grant began with, in the words of the same issuer: what one brings that another
// has signed is not its own, and names somebody else by the same name perhaps. At
// the beginning such a token is refused, and so no refresh may bring one. Of a
// JWT the subject is read when a refresh brings it, and
// nothing is stored that is another's. Of an opaque token the issuer alone can
// say, and says so when the token is judged: here. Where it names none, as for
// clients that act for themselves, there is nothing to compare.
func (found presented) isOf(p *token.Principal) bool {
	switch {
	case !found.swapped:
		return true
	case p.Issuer != found.issuer:
		return false
	}
	return found.subject == "" || p.Subject == "" || found.subject == p.Subject
}

// endOfAnother ends a grant whose refresh brought the token of somebody else, or
// of another issuer: an issuer that mixed up two users, or was made to. Nobody is to act as the other,
// and the tokens are given back. While that cannot be stored it is a failure,
// and the token serves nobody all the same.
func (g *Gateway) endOfAnother(ctx context.Context, found presented) (presented, error) {
	ctx = context.WithoutCancel(ctx) // whoever asked may go
	s, err := g.keeper.Open(ctx)
	if err != nil {
		return found, err
	}
	if err := s.End(ctx, found.grant, session.EndedSubject); err != nil && !errors.Is(err, session.ErrNoGrant) {
		return found, err
	}
	if found.session {
		found.token = "" // it has ended, and is none
		return found, nil
	}
	return found, verdict.OfReference(verdict.NoGrant, "its refresh brought the token of another subject, or of another issuer")
}
