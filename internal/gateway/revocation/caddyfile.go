package revocation

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
)

// Words are those of the block, for error texts.
const Words = "keep, entries, unread, endpoint, secret, scope, jwt_audience, email_as_sub"

// Parse reads:
//
//	revocation {
//		keep     <duration>
//		entries  <n>
//		unread   pass|refuse
//		endpoint <path>
//		secret   <secret>
//		scope    <scope...>
//		jwt_audience <aud...>
//		email_as_sub
//	}
func Parse(d *caddyfile.Dispenser, seen grammar.Once) (*Revocation, error) {
	if err := seen.First(d); err != nil {
		return nil, err
	}
	line, b := d.Token(), new(Revocation)
	if len(d.RemainingArgs()) > 0 {
		return nil, d.Errf("revocation takes a block: revocation { ... }")
	}
	if err := grammar.Block(d, b.parseWord); err != nil {
		return nil, err
	}
	return b, grammar.At(line, b.Check())
}

func (b *Revocation) parseWord(d *caddyfile.Dispenser, seen grammar.Once) error {
	switch d.Val() {
	case "keep":
		return seen.Duration(d, &b.Keep)
	case "entries":
		return seen.Number(d, &b.Entries, "a number of entries", mostEntries)
	case "unread":
		if err := seen.Text(d, &b.Unread); err != nil {
			return err
		}
		if b.Unread != unreadPass && b.Unread != unreadRefuse {
			return d.Errf("unread is %q; it takes pass or refuse", b.Unread)
		}
		return nil
	case "endpoint":
		return seen.Text(d, &b.Endpoint)
	case "secret":
		return seen.Text(d, &b.Secret)
	case "scope":
		return grammar.List(d, &b.Scope)
	case "jwt_audience":
		return grammar.List(d, &b.JWTAudience)
	case "email_as_sub":
		return seen.Flag(d, &b.EmailAsSub)
	}
	return grammar.Unknown(d, "revocation", Words)
}
