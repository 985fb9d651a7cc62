package user

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
)

// Parse reads:
//
//	user <url> {
//		take  <member>[><claim>] ...
//		first <url> { ... }      (of a list the first element that fits)
//		each  <url> {            (of a list each)
//			needs <scope...>
//			in    <member>
//			where <member...>
//			take  <member>[><claim>] ...
//		}
//	}
func Parse(d *caddyfile.Dispenser, seen grammar.Once) (*User, error) {
	if err := seen.First(d); err != nil {
		return nil, err
	}
	u := new(User)
	if err := address(d, &u.URL); err != nil {
		return nil, err
	}
	return u, grammar.Block(d, func(d *caddyfile.Dispenser, _ grammar.Once) error {
		switch d.Val() {
		case "take":
			return grammar.List(d, &u.Take)
		case "first":
			return parseQuestion(d, &u.First)
		case "each":
			return parseQuestion(d, &u.Each)
		}
		return grammar.Unknown(d, "user", "take, first, each")
	})
}

func parseQuestion(d *caddyfile.Dispenser, to *[]*Question) error {
	word, q := d.Val(), new(Question)
	if err := address(d, &q.URL); err != nil {
		return err
	}
	*to = append(*to, q)
	return grammar.Block(d, func(d *caddyfile.Dispenser, seen grammar.Once) error {
		switch d.Val() {
		case "needs":
			return grammar.List(d, &q.Needs)
		case "in":
			return seen.Text(d, &q.In)
		case "where":
			return grammar.List(d, &q.Where)
		case "take":
			return grammar.List(d, &q.Take)
		}
		return grammar.Unknown(d, word, "needs, in, where, take")
	})
}

func address(d *caddyfile.Dispenser, to *string) error {
	word, args := d.Val(), d.RemainingArgs()
	if len(args) != 1 || slices.Contains(args, "") {
		return d.Errf("%s takes one URL", word)
	}
	*to = args[0]
	return nil
}
