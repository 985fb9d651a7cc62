package introspection

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
)

// Words are those of the block.
const Words = "always, lightweight, token_prefix, in_order, jwt_response, cache, rate, insecure_any_token"

// Parse reads:
//
//	introspect [<url>] {
//		always
//		lightweight
//		token_prefix <text...>
//		in_order
//		jwt_response
//		cache <duration>
//		rate  <n>
//		insecure_any_token
//	}
func Parse(d *caddyfile.Dispenser) (*Introspect, error) {
	line, n := d.Token(), new(Introspect)
	switch args := d.RemainingArgs(); {
	case len(args) > 1 || len(args) == 1 && args[0] == "":
		return nil, d.Errf("introspect takes the URL of the endpoint, or none: introspect [<url>]")
	case len(args) == 1:
		n.URL = args[0]
	}
	if err := grammar.Block(d, n.parseWord); err != nil {
		return nil, err
	}
	return n, grammar.At(line, n.Check())
}

func (n *Introspect) parseWord(d *caddyfile.Dispenser, seen grammar.Once) error {
	switch d.Val() {
	case "always":
		return seen.Flag(d, &n.Always)
	case "lightweight":
		return seen.Flag(d, &n.Lightweight)
	case "token_prefix":
		return grammar.List(d, &n.TokenPrefix)
	case "in_order":
		return seen.Flag(d, &n.InOrder)
	case "jwt_response":
		return seen.Flag(d, &n.JWTResponse)
	case "insecure_any_token":
		return seen.Flag(d, &n.InsecureAnyToken)
	case "cache":
		var text string
		if err := seen.Text(d, &text); err != nil {
			return err
		}
		cache, err := caddy.ParseDuration(text)
		if err != nil || cache < 0 || cache > LongestCache {
			return d.Errf("cache is %q; in introspect it takes a duration from 0s to 60s", text)
		}
		n.Cache = (*caddy.Duration)(&cache)
	case "rate":
		return seen.Number(d, &n.Rate, "calls per second", MostRate)
	default:
		return grammar.Unknown(d, "introspect", Words)
	}
	return nil
}
