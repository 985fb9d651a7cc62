package tokenendpoint

import (
	"errors"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// mostWays bounds how often one request presents a caller's secret to the issuer.
const mostWays = 2

// askAsCaller runs client_credentials with the caller's own secret. Where it is
// not certain what the secret is, or how the issuer reads it, a second way is
// tried if the issuer does not know the client by the first. No grant is at stake
// in this one, so none is presented twice.
func (c *call) askAsCaller() (own grants.Caller, tokens *as.Tokens, began time.Time, err error) {
	for _, own = range c.ways() {
		began = time.Now()
		if tokens, err = c.ask(own.Client(), own.Form()); err == nil {
			break
		}
		if failed, ok := errors.AsType[*as.CallError](err); !ok || failed.Fate != as.BadClient {
			break
		}
	}
	return own, tokens, began, err
}

// ways are the readings of the caller's secret and the methods to present it by,
// the likeliest first.
func (c *call) ways() (ways []grants.Caller) {
	methods := c.trust().MethodsFor(c.r.Context(), c.Method, c.Unencoded)
	add := func(secret, method string) {
		if len(ways) < mostWays {
			ways = append(ways, grants.Caller{
				ID: c.ClientID, Secret: secret, Method: method,
				Scope: c.Form.Get("scope"), Audience: c.Form.Get("audience"), Resource: c.Form["resource"],
			})
		}
	}
	for _, meant := range c.Secrets() {
		add(meant.Reveal(), methods[0])
	}
	// Some issuers do not decode what Basic has encoded.
	own := ways[0].Client()
	if c.Method == tokenrequest.Basic && methods[0] == as.AuthBasic && own.Encoded() || c.Unencoded {
		for _, method := range methods[1:] {
			add(ways[0].Secret, method)
		}
	}
	return ways
}
