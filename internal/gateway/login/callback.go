package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/limits"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// mostCode bounds an authorization code, in bytes.
const mostCode = 4 << 10

// serveCallback finishes a log-in (OpenID Connect Core §3.1.2.5). Without the
// cookie of a log-in that fits, the issuer is not asked.
func (s *Site) serveCallback(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodPost && s.Block.ResponseMode == modeFormPost {
		return s.servePosted(w, r)
	}
	if r.Method != http.MethodGet {
		return notAllowed(w, r, "GET")
	}
	vault, err := s.Keeper.Open(r.Context())
	if err != nil {
		return s.fail(w, r, nil, err)
	}
	q, err := readCallback(r.URL.RawQuery)
	if err != nil {
		return s.fail(w, r, nil, err)
	}
	p := s.Block.pendingOf(r, vault, q.state)
	if p == nil {
		return s.withoutState(w, r, vault)
	}
	handle, err := s.finish(r, vault, p, q)
	_, again := errors.AsType[*session.Unavailable](err)
	if _, limited := errors.AsType[*limits.TooMany](err); !again && !limited {
		setCookie(w, s.Block.pendingName(p.State), "", -1)
	}
	if err != nil {
		return s.unfinished(w, r, vault, p, q, err)
	}
	setCookie(w, s.Block.CookieName(), handle.Reveal(credential.SessionPrefix), 0)
	return redirect(w, http.StatusSeeOther, p.Return)
}

// callback is what the issuer sends back with the browser.
type callback struct{ state, code, issuer, failure, described string }

// readCallback takes each parameter once (RFC 6749 §3.1).
func readCallback(rawQuery string) (q callback, err error) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return q, &failure{outcome: outcomeBadRequest, status: http.StatusBadRequest, detail: "the query cannot be read"}
	}
	for name, at := range map[string]*string{"state": &q.state, "code": &q.code, "iss": &q.issuer, "error": &q.failure, "error_description": &q.described} {
		if all := values[name]; len(all) == 1 {
			*at = all[0]
		} else if len(all) > 1 {
			return q, &failure{outcome: outcomeBadRequest, status: http.StatusBadRequest, detail: name + " is there more than once"}
		}
	}
	return q, nil
}

// finish makes a session of a callback, under a handle that is new, and
// ends the one that this browser had.
func (s *Site) finish(r *http.Request, vault *session.Vault, p *pending, q callback) (session.Handle, error) {
	t := s.Trust
	ends, err := t.Server.Endpoints(r.Context())
	if err != nil {
		return session.Handle{}, &session.Unavailable{RetryAfter: time.Second, Err: err}
	}
	// RFC 9207 §2.4: first of all, also of an error.
	if q.issuer != t.Profile.Issuer && (q.issuer != "" || ends.NamesItself) {
		return session.Handle{}, &failure{
			outcome: outcomeWrongIssuer, status: http.StatusBadRequest, level: zapcore.WarnLevel,
			detail: "iss is " + telemetry.Bounded(q.issuer) + ": another issuer has answered, or somebody wants it to look so",
		}
	}
	if q.failure != "" {
		return session.Handle{}, issuerSaid(q.failure)
	}
	if q.code == "" || len(q.code) > mostCode {
		return session.Handle{}, &failure{outcome: outcomeBadRequest, status: http.StatusBadRequest, detail: "there is no code"}
	}
	// Before anything is written, and used up: a browser that has to wait may try again.
	leave, err := s.Limits.Place(r.Context(), telemetry.ClientAddress(r))
	if err != nil {
		return session.Handle{}, err
	}
	defer leave()
	attempts, err := s.Limits.Attempt(limits.AtCallback, t.Client.ID, telemetry.ClientAddress(r))
	if err != nil {
		return session.Handle{}, err
	}
	first, err := vault.Once(r.Context(), sealLogin, time.Now().Add(pendingLife+time.Minute), p.State)
	if err != nil {
		return session.Handle{}, err
	}
	if !first {
		return session.Handle{}, &failure{outcome: outcomeNoState, status: http.StatusBadRequest, detail: "this log-in was finished before"}
	}
	// What was granted is kept, or given back, also when the browser goes.
	ctx := context.WithoutCancel(r.Context())
	tokens, asked, err := s.exchange(ctx, p, q.code)
	if err != nil {
		call, answered := errors.AsType[*as.CallError](err)
		if answered && call.Guess() {
			attempts.Fail()
		}
		if answered && call.Fate == as.Refused {
			// Strangers can begin a log-in and make up a code: no row is to stay of
			// that. If it does, it ends by itself.
			_ = vault.CameToNothing(ctx, sealLogin, p.State)
		}
		return session.Handle{}, err
	}
	id, principal, err := s.judge(ctx, r, p, tokens)
	if err != nil {
		s.returnTokens(ctx, r, vault, tokens)
		return session.Handle{}, err
	}
	return s.openSession(ctx, r, vault, id, principal.Subject, tokens, asked)
}

// exchange asks for the tokens that the code stands for, once (RFC 6749 §4.1.3).
func (s *Site) exchange(ctx context.Context, p *pending, code string) (*as.Tokens, time.Time, error) {
	t := s.Trust
	form := url.Values{
		"grant_type": {tokenrequest.AuthorizationCode}, "code": {code}, "redirect_uri": {p.Redirect},
	}
	if !s.Block.InsecureNoPKCE {
		form.Set("code_verifier", p.Verifier)
	}
	if len(s.Block.Resource) > 0 {
		form["resource"] = s.Block.Resource
	}
	ctx, cancel := context.WithTimeout(ctx, s.Keeper.TokenTimeout())
	defer cancel()
	asked := time.Now()
	tokens, err := t.Server.Token(ctx, *t.Client, form)
	return tokens, asked, err
}

// judge proves who has logged in, and that the access token will pass here:
// a session whose every request is refused would be of no use.
func (s *Site) judge(ctx context.Context, r *http.Request, p *pending, tokens *as.Tokens) (*token.ID, *token.Principal, error) {
	t := s.Trust
	id, err := s.who(ctx, p, tokens)
	if err != nil {
		return nil, nil, err
	}
	principal, err := s.Prove(ctx, tokens.AccessToken.Reveal(), r, grants.Source{
		Issuer: t.Profile.Issuer, LogIn: true, Scope: s.grantedScope(tokens), App: s.origin(id, tokens).Seal(), Behind: issuers.Behind{Began: s.Now()},
	})
	if why := untold(err, t.User != nil); why != "" {
		return nil, nil, &failure{outcome: outcomeUserInfo, status: http.StatusForbidden, level: zapcore.ErrorLevel, detail: why}
	}
	if late := t.Untimely(tokens.AccessToken); late != nil && !s.Block.ByUser() {
		return nil, nil, late
	}
	if rejection, ok := errors.AsType[*verdict.Rejection](err); ok && issuers.ByTime(rejection.Reason) {
		return nil, nil, &issuers.ClocksDiffer{Issuer: t.Profile.Issuer, How: "a fresh access token does not pass: " + rejection.Reason + ": " + rejection.Detail}
	} else if ok && s.Block.ByUser() {
		return nil, nil, &failure{
			outcome: outcomeIDToken, status: http.StatusForbidden, level: zapcore.WarnLevel,
			detail: "this log-in would not pass here: " + rejection.Reason + ": " + rejection.Detail,
		}
	} else if ok {
		return nil, nil, &failure{
			outcome: outcomeAccessToken, status: http.StatusForbidden, level: zapcore.ErrorLevel,
			detail: "the access token of this log-in would not pass here: " + rejection.Reason + ": " + rejection.Detail +
				". " + s.Advise(tokens.AccessToken.Reveal(), rejection.Reason) + " See docs/login.md on resource and audience",
		}
	} else if err != nil {
		return nil, nil, err
	}
	if principal.Issuer != t.Profile.Issuer {
		return nil, nil, &failure{
			outcome: outcomeAccessToken, status: http.StatusForbidden, level: zapcore.ErrorLevel,
			detail: "the access token is another issuer's",
		}
	}
	// Some issuers make access tokens of ID tokens, with all that is in them.
	if nonce, has := principal.Claim("nonce"); has && nonce != nil && nonce != p.Nonce {
		return nil, nil, &failure{
			outcome: outcomeAccessToken, status: http.StatusForbidden, level: zapcore.ErrorLevel,
			detail: "the nonce in the access token is not that of this log-in",
		}
	}
	if lacks := p.StepUp.lacks(principal, s.Now()); lacks != "" {
		// To ask again would go on for ever.
		return nil, nil, &failure{
			outcome: outcomeWeak, status: http.StatusForbidden, level: zapcore.WarnLevel,
			detail: "the access token does not tell of the log-in that was asked for: " + lacks,
		}
	}
	return id, principal, nil
}

// mostHint bounds the ID token that a browser takes to the issuer's log-out: it
// goes into a URL then.
const mostHint = 4 << 10

// origin is what the grant of a log-in remembers of it.
func (s *Site) origin(id *token.ID, tokens *as.Tokens) grants.Origin {
	from := s.Keeper.Origin(s.Trust)
	from.IDSubject, from.ByUser = id.Subject, s.Block.ByUser()
	from.Claims = from.ByUser || s.Block.uses(OfIDToken) || s.Block.forwards() == IDToken
	if from.Claims || len(tokens.IDToken.Reveal()) <= mostHint {
		from.IDToken = tokens.IDToken.Reveal()
	}
	return from
}

// openSession keeps the grant of a log-in. subject is what the access token was
// judged to be of: issuers may name a user differently there and in the ID token.
func (s *Site) openSession(ctx context.Context, r *http.Request, vault *session.Vault, id *token.ID, subject string, tokens *as.Tokens, asked time.Time) (session.Handle, error) {
	t := s.Trust
	from := s.origin(id, tokens)
	grant := session.Grant{Kind: session.ByRefreshToken, Issuer: t.Profile.Issuer, Client: t.Client.ID, Subject: subject, App: from.Seal()}
	if from.ByUser {
		grant.Scope = s.grantedScope(tokens)
	}
	granted := grants.GrantedBy(t, tokens, &from)
	endsWithToken := granted.Refresh.Empty() && !s.livesOn(&granted)
	browser := session.Browser{Client: t.Client.ID, User: id.Subject, Session: id.Session, Note: noteOf(r)}
	old, replaces := s.Block.handle(r)
	end := vault.End
	if replaces {
		browser.Replaces = old.Key()
		if vault.Shares(ctx, old, grant.Issuer, browser) {
			end = func(ctx context.Context, h session.Handle, reason string) error {
				return vault.EndKey(ctx, h.Key(), reason)
			}
		}
	}
	handle, _, err := vault.CreateFor(ctx, browser, grant, granted, asked)
	if err != nil {
		return handle, err
	}
	if err := r.Context().Err(); err != nil {
		// The browser has gone: the handle reached no one.
		return handle, errors.Join(err, end(ctx, handle, session.EndedLogout))
	}
	if replaces {
		// Also when it fails: then it ends by itself, and no cookie holds it.
		if err := end(ctx, old, session.EndedReplaced); err != nil && !errors.Is(err, session.ErrNoGrant) {
			s.Log.Warn("the session before a log-in could not be ended", zap.String("sref", vault.Sref(old.Key())), zap.Error(err))
		}
	}
	telemetry.Metrics.Login(t.Profile.Issuer, outcomeDone)
	sref := vault.Sref(handle.Key())
	s.Audit.LoggedIn(r, t.Profile.Issuer, id.Subject, sref)
	s.logLoggedIn(r, sref, tokens, endsWithToken)
	return handle, nil
}

// returnTokens gives back tokens that no session will use, unless the browser has
// a session, which goes on and may be the same one at the issuer.
func (s *Site) returnTokens(ctx context.Context, r *http.Request, vault *session.Vault, tokens *as.Tokens) {
	if old, has := s.Block.handle(r); has && vault.Shares(ctx, old, s.Trust.Profile.Issuer, session.Browser{}) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.Keeper.TokenTimeout())
	defer cancel()
	t := s.Trust
	s.Keeper.GiveBack(ctx, session.Grant{
		Kind: session.ByRefreshToken, Issuer: t.Profile.Issuer, Refresh: tokens.RefreshToken, App: s.Keeper.Origin(t).Seal(),
	})
}
