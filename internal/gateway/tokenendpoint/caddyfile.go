package tokenendpoint

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
)

// Words are those of the block, for error texts.
const Words = "grant_types, public_clients, default_grant, revocation_endpoint, device_authorization_endpoint"

// Parse reads:
//
//	token_endpoint <path...> {
//		grant_types                   <grant type...>
//		public_clients                <client id...>
//		default_grant                 client_credentials
//		revocation_endpoint           <path>
//		device_authorization_endpoint <path>
//	}
func Parse(d *caddyfile.Dispenser, seen grammar.Once) (*TokenEndpoint, error) {
	if err := seen.First(d); err != nil {
		return nil, err
	}
	e := new(TokenEndpoint)
	if err := grammar.List(d, &e.Path); err != nil {
		return nil, d.Errf("token_endpoint takes one or more paths, such as /token")
	}
	if err := grammar.Block(d, e.parseWord); err != nil {
		return nil, err
	}
	return e, grammar.Wrap(d, e.CheckWords())
}

func (e *TokenEndpoint) parseWord(d *caddyfile.Dispenser, seen grammar.Once) (err error) {
	switch d.Val() {
	case "grant_types":
		err = grammar.List(d, &e.GrantTypes)
	case "public_clients":
		err = grammar.List(d, &e.PublicClients)
	case "default_grant":
		err = seen.Text(d, &e.DefaultGrant)
	case "revocation_endpoint":
		err = seen.Text(d, &e.RevocationEndpoint)
	case "device_authorization_endpoint":
		err = seen.Text(d, &e.DeviceAuthorizationEndpoint)
	default:
		err = grammar.Unknown(d, "token_endpoint", Words)
	}
	if err != nil {
		return err
	}
	return grammar.Wrap(d, e.CheckWords())
}
