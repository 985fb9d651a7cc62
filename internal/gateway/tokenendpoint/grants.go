package tokenendpoint

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/limits"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// call is one request to an endpoint of our own.
type call struct {
	*tokenrequest.Request
	endpoint *Endpoint
	grant    string // its grant type, as we name it
	w        http.ResponseWriter
	r        *http.Request
	leave    func() // gives back the place among the calls to issuers, if there is one
}

// trust is the issuer that new grants are asked of.
func (c *call) trust() *issuers.Trust { return c.endpoint.Trust }

func (c *call) issuer() string { return c.trust().Profile.Issuer }

// serveToken is the token endpoint (RFC 6749 §3.2).
func (c *call) serveToken() error {
	asked := c.Form.Get("grant_type")
	c.grant = asked
	switch {
	case asked == tokenrequest.DeviceCodeURN:
		c.grant = tokenrequest.DeviceCode
	case asked == tokenrequest.DeviceCode || asked != "" && !slices.Contains(GrantTypes, asked):
		c.grant = ""
	case asked == "" && c.endpoint.Block.DefaultGrant != "" && !slices.ContainsFunc(
		[]string{"refresh_token", "code", "device_code"}, c.Form.Has): // a client that sends these means another grant
		c.grant = c.endpoint.Block.DefaultGrant
	case asked == "":
		return tokenrequest.Refuse(tokenrequest.InvalidRequest, "grant_type is missing")
	}
	if c.grant == "" || !c.endpoint.Block.Takes(c.grant) {
		return tokenrequest.Refuse(tokenrequest.UnsupportedGrantType, "this grant type is not taken here")
	}
	if _, err := c.endpoint.Keeper.Open(c.r.Context()); err != nil {
		return err // before anything is asked for that could not be kept
	}
	switch c.grant {
	case tokenrequest.ClientCredentials:
		return c.grantClient()
	case tokenrequest.RefreshToken:
		return c.grantRefresh()
	}
	return c.grantPublic()
}

// grantClient runs client_credentials with the caller's own credentials. With
// the gateway's, any stranger would get tokens as the gateway.
func (c *call) grantClient() error {
	t := c.trust()
	switch {
	case c.ClientID == "" || c.Method == tokenrequest.None:
		return tokenrequest.RefuseClient("the client's id and secret are needed")
	case t.Client != nil && c.ClientID == t.Client.ID:
		return tokenrequest.RefuseClient("these are not credentials of a client of this endpoint")
	}
	own, tokens, began, err := c.askAsCaller()
	if err != nil {
		return err
	}
	tokens.RefreshToken = session.Secret{} // not expected (RFC 6749 §4.4.3), and not needed
	return c.handOut(own.Client(), tokens, began, session.Grant{
		Kind: session.ByRunningAgain, Issuer: t.Profile.Issuer, Client: c.ClientID, Scope: own.Scope,
		Credentials: own.Seal(), App: c.endpoint.Keeper.OriginOfCaller(t).Seal(),
	})
}

// grantPublic runs authorization_code with PKCE, or device_code, for a client
// that has no secret, with the gateway's own credentials.
func (c *call) grantPublic() error {
	if err := c.public(); err != nil {
		return err
	}
	form, needed := url.Values{"grant_type": {tokenrequest.AuthorizationCode}}, []string{"code", "code_verifier"}
	if c.grant == tokenrequest.DeviceCode {
		form, needed = url.Values{"grant_type": {tokenrequest.DeviceCodeURN}}, []string{"device_code"}
	}
	for _, name := range needed {
		if c.Form.Get(name) == "" {
			return tokenrequest.Refuse(tokenrequest.InvalidRequest, name+" is missing")
		}
	}
	for _, name := range append(needed, "redirect_uri") {
		if c.Form.Has(name) {
			form.Set(name, c.Form.Get(name))
		}
	}
	t := c.trust()
	tokens, asked, err := c.askOnce(*t.Client, form)
	if err != nil {
		return asGateway{err}
	}
	from := c.endpoint.Keeper.Origin(t)
	from.IDSubject = as.SubjectOf(tokens.IDToken)
	err = c.handOut(*t.Client, tokens, asked, session.Grant{
		Kind: session.ByRefreshToken, Issuer: t.Profile.Issuer, Client: c.ClientID, App: from.Seal(),
	})
	if _, later := errors.AsType[*unjudged](err); later {
		waiting.put(c.codeKey(form), t.Reach, tokens, asked, func(tokens *as.Tokens) { c.giveBack(context.Background(), *t.Client, tokens) })
	} else {
		waiting.drop(c.codeKey(form))
	}
	return err
}

// ask is the one call to the issuer's token endpoint, within token_timeout. It
// goes on when the caller hangs up: a code would be used up for nothing.
func (c *call) ask(client as.Client, form url.Values) (*as.Tokens, error) {
	if c.leave == nil {
		if err := c.enter(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), c.endpoint.Keeper.TokenTimeout())
	defer cancel()
	tokens, err := c.trust().Server.Token(ctx, client, form)
	if err == nil {
		c.endpoint.Limits.Proved(c.ClientID)
	}
	return tokens, err
}

// enter waits for a place among the calls to issuers, which is held until a
// failure is counted: of many guesses at one time only so many are made.
func (c *call) enter() (err error) {
	address := telemetry.ClientAddress(c.r)
	if c.leave, err = c.endpoint.Limits.Place(c.r.Context(), address); err == nil {
		_, err = c.endpoint.Limits.Attempt(limits.AtTokenEndpoint, c.ClientID, address)
	}
	return err
}

// public refuses a caller that is not one of the clients without a secret.
func (c *call) public() error {
	switch {
	case !slices.Contains(c.endpoint.Block.PublicClients, c.ClientID) || c.trust().Client == nil:
		return tokenrequest.RefuseClient("this client is not one of the public clients of this endpoint")
	case c.Method != tokenrequest.None:
		return tokenrequest.RefuseClient("a public client has no secret")
	}
	return nil
}

// grantRefresh exchanges a reference refresh token for its successor. The
// client is proved before anything changes.
func (c *call) grantRefresh() error {
	text := c.Form.Get("refresh_token")
	if text == "" {
		return tokenrequest.Refuse(tokenrequest.InvalidRequest, "refresh_token is missing")
	}
	s, handle, err := c.proveHolder(text)
	if err != nil {
		return err
	}
	if handle == nil {
		return errNoSuchGrant
	}
	next, access, refresh, err := s.Rotate(c.r.Context(), text)
	if errors.Is(err, session.ErrNoGrant) {
		return errNoSuchGrant
	}
	if err != nil {
		return err
	}
	c.answer(next, access, refresh, session.Secret{})
	return nil
}

var errNoSuchGrant = tokenrequest.Refuse(tokenrequest.InvalidGrant, "the refresh token is unknown, used already, or its grant has ended")

// proveHolder finds the grant of one of our tokens, and proves that the caller
// is the client it was given to. A nil handle: there is no such grant.
func (c *call) proveHolder(text string) (*session.Vault, *session.Handle, error) {
	ctx := c.r.Context()
	s, err := c.endpoint.Keeper.Open(ctx)
	if err != nil {
		return nil, nil, err
	}
	handle, ours := session.ParseHandle(credential.AccessPrefix, text)
	if !ours {
		handle, err = s.OpenFamily(ctx, text)
	}
	if errors.Is(err, session.ErrNoGrant) {
		return s, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	grant, user, err := s.Grant(ctx, handle)
	if errors.Is(err, session.ErrNoGrant) || err == nil && user != (session.ID{}) {
		return s, nil, nil // or it is a browser's, and counts in its cookie alone
	}
	if err != nil {
		return nil, nil, err
	}
	return s, &handle, c.holds(&grant)
}

// holds compares the caller with the client that the grant was given to.
func (c *call) holds(grant *session.Grant) error {
	if grant.Kind != session.ByRunningAgain {
		if err := c.public(); err != nil {
			return err
		}
		if c.ClientID != grant.Client {
			return errNoSuchGrant
		}
		return nil
	}
	own, err := grants.CallerOf(grant)
	if err != nil {
		return err
	}
	want, same := sha256.Sum256([]byte(own.Secret)), 0
	for _, meant := range c.Secrets() {
		have := sha256.Sum256([]byte(meant.Reveal()))
		same |= subtle.ConstantTimeCompare(want[:], have[:])
	}
	if same != 1 || own.ID != c.ClientID {
		return tokenrequest.RefuseClient("the credentials are not those of the client that the token was given to")
	}
	return nil
}
