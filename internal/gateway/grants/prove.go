package grants

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Judge proves an access token that a request brings, or that stands behind what
// it brings.
type Judge func(ctx context.Context, raw string, r *http.Request, from Source) (*token.Principal, error)

// Source is where an access token comes from.
type Source struct {
	Issuer string         // who granted it; "": it came with the request
	LogIn  bool           // to a log-in of the gateway's own: no client has chosen it
	Scope  string         // that its grant has, where the answers that granted it say so
	App    session.Secret // what is remembered of its grant
	Made   *session.Made  // what was made of that; nil: nothing is kept
	Behind issuers.Behind // the grant that it stands behind
}

// Origin is how its grant began.
func (f Source) Origin() Origin { return OriginOf(&session.Grant{App: f.App}) }

// mostTokens is how many access tokens of one grant are judged for a request:
// two that a renewal has made useless meanwhile, and one more.
const mostTokens = 3

// Prove judges the token that a request carries, or the one that stands behind
// it. Without a principal and without an error there is none, or no longer. A nil
// Keeper keeps nothing: each token stands for itself.
//
// An access token that the gateway refreshes is not given up for the first no of
// its issuer. Many issuers end the old one when they rotate the refresh token,
// some time before the new pair is here; then its answer tells of a refresh, and
// not of a grant that was taken back.
func (k *Keeper) Prove(r *http.Request, found credential.Presented, judge Judge) (*token.Principal, credential.Presented, error) {
	if found.Token == "" && !found.Session {
		return nil, found, nil
	}
	waited := telemetry.TraceWait(r.Context(), telemetry.SpanGrant)
	found, err := k.redeem(r.Context(), found)
	waited(err)
	return k.prove(r.Context(), r, found, err, judge)
}

// ProveAgain judges what a request was let in with once, without that request: by
// the access token that its grant has now, renewed if it has run out. It answers as
// Prove does.
func (k *Keeper) ProveAgain(ctx context.Context, found credential.Presented, judge Judge) (*token.Principal, credential.Presented, error) {
	if !found.Swapped {
		return k.prove(ctx, nil, found, nil, judge)
	}
	found, err := k.redeemHandle(ctx, found)
	return k.prove(ctx, nil, found, err, judge)
}

// prove judges what was redeemed, unless that failed. r may be nil.
func (k *Keeper) prove(ctx context.Context, r *http.Request, found credential.Presented, err error, judge Judge) (*token.Principal, credential.Presented, error) {
	began := time.Now()
	for judged := 1; err == nil && found.Token != ""; judged++ {
		principal, refused := judge(ctx, found.Token, r, Source{Issuer: found.Issuer, LogIn: found.Session, Scope: found.Scope, App: found.App, Made: found.Made, Behind: issuers.Behind{Began: found.Since, Client: found.Client, Subject: found.Subject}})
		if refused == nil && speaksFor(principal, &found) {
			return principal, found, nil
		}
		if refused == nil {
			found, err = k.endOfAnother(ctx, found)
			return nil, found, err
		}
		reason := tokenReason(refused)
		switch {
		case !found.Swapped:
			return nil, found, refused
		case reason == token.Revoked:
			found, err = k.endOfRevoked(ctx, found, refused)
			return nil, found, err
		case reason == token.NotYetValid:
			return nil, found, tooEarly(found.Issuer, refused)
		case reason != token.Inactive && reason != token.StatusRefused && reason != token.Expired && reason != token.Outdated, judged == mostTokens, time.Since(began) > k.settings().RefreshWait:
			return nil, found, refused
		}
		waited := telemetry.TraceWait(ctx, telemetry.SpanGrant)
		found, err = k.redeemNext(ctx, found, refused, r == nil)
		waited(err)
	}
	return nil, found, err
}

func tokenReason(err error) token.Reason {
	if rejection, ok := errors.AsType[*verdict.Rejection](err); ok {
		return token.Reason(rejection.Reason)
	}
	return ""
}

// redeem replaces a reference token, or a session's handle, by the access token
// behind it, refreshed if it has run out. Any other token stays as it is.
func (k *Keeper) redeem(ctx context.Context, found credential.Presented) (credential.Presented, error) {
	switch {
	case k == nil:
		return found, nil
	case found.Session:
		handle, ok := session.ParseHandle(credential.SessionPrefix, found.Token)
		if !ok {
			found.Token = ""
			return found, nil
		}
		found.Grant = handle
		return k.redeemHandle(ctx, found)
	case strings.HasPrefix(found.Token, credential.SessionPrefix):
		return found, verdict.OfReference(verdict.NoGrant, "a session's handle counts in its cookie alone")
	}
	if strings.HasPrefix(found.Token, credential.RefreshPrefix) {
		return found, verdict.OfReference(verdict.RefreshPresented, "a refresh token is never sent to a resource (RFC 6749 §1.5)")
	}
	handle, ours := session.ParseHandle(credential.AccessPrefix, found.Token)
	if !ours {
		if strings.HasPrefix(found.Token, credential.AccessPrefix) {
			return found, verdict.OfReference(verdict.NoGrant, "not spelled as a reference token is")
		}
		return found, nil
	}
	found.Grant = handle
	return k.redeemHandle(ctx, found)
}

func (k *Keeper) redeemHandle(ctx context.Context, found credential.Presented) (credential.Presented, error) {
	access, err := k.Access(ctx, found.Grant)
	return swap(found, access, err)
}

// swap puts the access token of a grant in the place of its handle. A handle
// counts in its own place alone: a browser's in the cookie. A session that has
// ended is none: then the token is empty.
func swap(found credential.Presented, access session.Access, err error) (credential.Presented, error) {
	_, rejected := errors.AsType[*verdict.Rejection](err)
	switch none := errors.Is(err, session.ErrNoGrant) || err == nil && found.Session != (access.User != session.ID{}); {
	case none && !found.Session:
		return found, verdict.OfReference(verdict.NoGrant, "")
	case none:
		found.Token, found.Replaced = "", errors.Is(err, session.ErrReplaced)
		return found, nil
	case rejected && found.Session:
		found.Token = "" // of an issuer that this site has log-ins at no more
		return found, nil
	case err != nil:
		return found, err
	}
	found.Token, found.Swapped, found.Lost, found.Issuer, found.Subject = access.Token.Reveal(), true, access.Lost, access.Issuer, access.Subject
	found.App, found.Made, found.Since, found.Client, found.Scope = access.App, access.Made, access.Created, access.Client, access.Scope
	found.Until = access.Expiry
	if access.End.Before(found.Until) {
		found.Until = access.End
	}
	return found, nil
}

// outdatedSince is since when it is known that a token is out of date; zero: it was
// refused for something else.
func outdatedSince(err error) time.Time {
	rejection, ok := errors.AsType[*verdict.Rejection](err)
	if !ok || rejection.Reason != string(token.Outdated) {
		return time.Time{}
	}
	return rejection.Since
}

// redeemNext finds the access token that comes after one that is inactive, or
// that has run out earlier than the issuer said when it granted it. If none will
// come, the verdict on that one stands; but one that has just come and has run
// out fails by the clocks alone. Of another one that has just come open says, for
// what is open already, that the error is a [session.ErrYoung] too: the next one is
// asked for in a moment, and will tell whether the grant counts.
func (k *Keeper) redeemNext(ctx context.Context, found credential.Presented, refused error, open bool) (credential.Presented, error) {
	s, err := k.Open(ctx)
	if err != nil {
		return found, err
	}
	access, err := s.AfterEvent(ctx, found.Grant, session.NewSecret(found.Token), outdatedSince(refused))
	if errors.Is(err, session.ErrYoung) && tokenReason(refused) == token.Expired {
		return found, &issuers.ClocksDiffer{Issuer: found.Issuer, How: "an access token that has just come has run out: " + verdict.DetailOf(refused)}
	}
	if open && errors.Is(err, session.ErrYoung) {
		return found, fmt.Errorf("%w: %w", session.ErrYoung, refused)
	}
	if errors.Is(err, session.ErrLast) {
		return found, refused
	}
	return swap(found, access, err)
}

// tooEarly is the failure of a gateway that holds an access token which does not
// count yet: its issuer has just made it.
func tooEarly(issuer string, refused error) error {
	return &issuers.ClocksDiffer{Issuer: issuer, How: "an access token that has just come does not count yet: " + verdict.DetailOf(refused)}
}

// speaksFor reports whether the access token of a grant speaks for the one that the
// grant began with, in the words of the same issuer: what one brings that another
// has signed is not its own, and perhaps means another person by the same name. At
// the beginning such a token is refused, and so no refresh may bring one. Of a
// JWT the subject is read when a refresh brings it, and nothing is stored that is
// another's. Of an opaque token the issuer alone can
// say, and says so when the token is judged: here. Where it names none, as for
// clients that act for themselves, there is nothing to compare.
func speaksFor(p *token.Principal, found *credential.Presented) bool {
	switch {
	case !found.Swapped:
		return true
	case p.Issuer != found.Issuer:
		return false
	}
	return found.Subject == "" || p.Subject == "" || found.Subject == p.Subject
}

// endOfRevoked ends a grant whose access token was taken back: a refresh would bring
// another one. Where that cannot be stored, the next request tries again; this one
// is refused all the same.
func (k *Keeper) endOfRevoked(ctx context.Context, found credential.Presented, refused error) (credential.Presented, error) {
	ctx = context.WithoutCancel(ctx) // the client may go
	s, err := k.Open(ctx)
	if err == nil {
		err = s.End(ctx, found.Grant, session.EndedRevoked)
	}
	if err != nil && !errors.Is(err, session.ErrNoGrant) {
		k.Log.Warn("a grant that was taken back could not be ended; it is refused all the same", zap.Error(err))
	}
	if found.Session {
		found.Token = "" // it has ended, and is none
		return found, nil
	}
	return found, refused
}

// endOfAnother ends a grant whose refresh brought the token of another subject, or
// of another issuer: an issuer that mixed up two users, or was made to. Neither
// may act as the other, and the tokens are given back. While that cannot be
// stored it is a failure, and the token is not used all the same.
func (k *Keeper) endOfAnother(ctx context.Context, found credential.Presented) (credential.Presented, error) {
	ctx = context.WithoutCancel(ctx) // the client may go
	s, err := k.Open(ctx)
	if err != nil {
		return found, err
	}
	if err := s.End(ctx, found.Grant, session.EndedSubject); err != nil && !errors.Is(err, session.ErrNoGrant) {
		return found, err
	}
	if found.Session {
		found.Token = "" // it has ended, and is none
		return found, nil
	}
	return found, verdict.OfReference(verdict.NoGrant, "its refresh brought the token of another subject, or of another issuer")
}
