package caddyoauth

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// once remembers the scalar words of a block: each may stand there once.
type once map[string]bool

func (seen once) first(d *caddyfile.Dispenser) error {
	word := d.Val()
	if seen[word] {
		return d.Errf("%s is there twice", word)
	}
	seen[word] = true
	return nil
}

// text reads a word with one argument.
func (seen once) text(d *caddyfile.Dispenser, to *string) error {
	word := d.Val()
	if err := seen.first(d); err != nil {
		return err
	}
	if args := d.RemainingArgs(); len(args) != 1 || args[0] == "" {
		return d.Errf("%s takes one argument that is not empty", word)
	}
	*to = d.Val()
	return nil
}

// flag reads a word without arguments.
func (seen once) flag(d *caddyfile.Dispenser, to *bool) error {
	word := d.Val()
	if err := seen.first(d); err != nil {
		return err
	}
	if len(d.RemainingArgs()) > 0 {
		return d.Errf("%s takes no argument", word)
	}
	*to = true
	return nil
}

// list reads a word with one or more arguments and adds them.
func list(d *caddyfile.Dispenser, to *[]string) error {
	word, args := d.Val(), d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("%s takes one or more arguments", word)
	}
	if slices.Contains(args, "") {
		return d.Errf("%s has an empty argument", word)
	}
	*to = append(*to, args...)
	return nil
}

// wrap adds the line that d stands at to an error, if there is one.
func wrap(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	return d.WrapErr(err)
}

// at adds the line of a token that d has passed.
func at(token caddyfile.Token, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w, at %s:%d", err, token.File, token.Line)
}
