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
	e, inner := new(TokenEndpoint), make(grammar.Once)
	if err := grammar.List(d, &e.Path); err != nil {
		return nil, d.Errf("token_endpoint takes one or more paths, such as /token")
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch word := d.Val(); word {
		case "grant_types":
			err = grammar.List(d, &e.GrantTypes)
		case "public_clients":
			err = grammar.List(d, &e.PublicClients)
		case "default_grant":
			err = inner.Text(d, &e.DefaultGrant)
		case "revocation_endpoint":
			err = inner.Text(d, &e.RevocationEndpoint)
		case "device_authorization_endpoint":
			err = inner.Text(d, &e.DeviceAuthorizationEndpoint)
		default:
			err = d.Errf("unknown word %q in token_endpoint; it takes %s", word, Words)
		}
		if err == nil {
			err = grammar.Wrap(d, e.CheckWords())
		}
		if err != nil {
			return nil, err
		}
	}
	return e, grammar.Wrap(d, e.CheckWords())
}
