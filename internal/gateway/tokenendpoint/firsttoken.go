package tokenendpoint

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// unfit is what the issuer granted and what would never pass here. It has two
// audiences: the client's developer, and the gateway's operator.
type unfit struct {
	answer *tokenrequest.Error
	detail string
}

func (u *unfit) Error() string { return u.detail }
func (u *unfit) Unwrap() error { return u.answer }

// unjudged is what the issuer granted and what cannot be judged now: no verdict.
type unjudged struct {
	wait time.Duration
	err  error
}

func (u *unjudged) Error() string {
	return "what the issuer granted cannot be judged now: " + u.err.Error()
}
func (u *unjudged) Unwrap() error { return u.err }

// judgeFirst proves that the first access token of a grant will pass here, as a
// log-in does: a reference whose every request is refused would be of no use. It
// answers whom it speaks for; the answer of an issuer that was asked is remembered
// for the token's first use. The error is an *unfit or an *unjudged.
func (c *call) judgeFirst(ctx context.Context, tokens *as.Tokens) (*token.Principal, error) {
	issuer := c.issuer()
	principal, err := c.endpoint.Prove(ctx, tokens.AccessToken.Reveal(), c.r, issuer)
	rejection, refused := errors.AsType[*verdict.Rejection](err)
	switch {
	case err == nil && principal.Issuer != issuer:
		return nil, c.notFit(tokens, &verdict.Rejection{Reason: string(token.IssuerUnknown), Detail: "it is a token of " + principal.Issuer})
	case err == nil:
		return principal, c.fitsAll(tokens, principal)
	case refused && !passesSoon(rejection.Reason):
		return nil, c.notFit(tokens, rejection)
	case refused:
		err = fmt.Errorf("%s: %s. %s", rejection.Reason, rejection.Detail, c.endpoint.Advise(tokens.AccessToken.Reveal(), rejection.Reason))
		return nil, &unjudged{5 * time.Second, err}
	}
	wait := time.Second
	if failure, ok := errors.AsType[*verdict.Failure](err); ok {
		wait = max(wait, failure.Wait)
	}
	return nil, &unjudged{wait, err}
}

// passesSoon reports whether a token fresh from its issuer is refused for clocks
// that differ, or for a key that is published a little later.
func passesSoon(reason string) bool {
	return issuers.ByTime(reason) || reason == string(token.KeyUnknown)
}

// fitsAll looks for scope that every request here needs. No refresh brings more
// than was granted (RFC 6749 §6). Claims are another matter: they are the
// user's, and may change.
func (c *call) fitsAll(tokens *as.Tokens, p *token.Principal) error {
	needed := strings.Join(c.endpoint.Lacks(p), " ")
	if needed == "" {
		return nil
	}
	return &unfit{
		tokenrequest.Refuse(tokenrequest.InvalidScope, "the issuer granted less than the scope that every request here needs: "+needed),
		fmt.Sprintf("the access token that the issuer granted would never pass here: %s: its scope is %.500q, require scope %s. %s",
			verdict.MissingScope, p.Scope, needed, c.endpoint.Advise(tokens.AccessToken.Reveal(), verdict.MissingScope)),
	}
}

// notFit tells both what is wrong with an access token, and what to change.
func (c *call) notFit(tokens *as.Tokens, rejection *verdict.Rejection) error {
	ask := "ask for one for this API, with resource or audience"
	if c.endpoint.Resource != "" {
		ask = "ask for one with resource=" + c.endpoint.Resource
	}
	var text string
	switch rejection.Reason {
	case string(token.WrongAudience):
		text = "the issuer granted a token for another audience: " + ask
	case string(token.NotJWT):
		text = "the issuer granted an opaque token, which cannot be read here: " + ask
	default:
		text = "the issuer granted a token that does not pass here (" + rejection.Reason + "): tell whoever runs this API"
	}
	return &unfit{
		tokenrequest.Refuse(tokenrequest.InvalidTarget, text),
		fmt.Sprintf("the access token that the issuer granted would never pass here: %s: %s. %s",
			rejection.Reason, rejection.Detail, c.endpoint.Advise(tokens.AccessToken.Reveal(), rejection.Reason)),
	}
}

// giveBack returns what no client will use (RFC 7009), as the client that it was
// granted to.
func (c *call) giveBack(ctx context.Context, client as.Client, tokens *as.Tokens) {
	ctx, cancel := context.WithTimeout(ctx, c.endpoint.Keeper.TokenTimeout())
	defer cancel()
	what, hint := tokens.RefreshToken, "refresh_token"
	if what.Empty() {
		what, hint = tokens.AccessToken, "access_token"
	}
	err := c.trust().Server.Revoke(ctx, client, what, hint)
	if err == nil {
		return
	}
	level := zapcore.WarnLevel
	if errors.Is(err, as.ErrNoEndpoint) || hint == "access_token" {
		level = zapcore.DebugLevel // many issuers take no access tokens back, or none at all
	}
	c.endpoint.Log.Log(level, "what a client could not use could not be given back to its issuer", zap.String("issuer", c.issuer()), zap.Error(err))
}

// askOnce asks for what a code stands for, or finds what it was used up for when
// that could not be judged.
func (c *call) askOnce(client as.Client, form url.Values) (*as.Tokens, time.Time, error) {
	if tokens, asked, known := waiting.take(c.codeKey(form)); tokens != nil {
		return tokens, asked, nil
	} else if known {
		return nil, asked, &unjudged{time.Second, errors.New("another request for it is under way")}
	}
	asked := time.Now()
	tokens, err := c.ask(client, form)
	return tokens, asked, err
}
