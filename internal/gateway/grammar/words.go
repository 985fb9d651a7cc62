package grammar

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Duration reads a word with a duration above zero.
func (seen Once) Duration(d *caddyfile.Dispenser, to *caddy.Duration) error {
	word, text := d.Val(), ""
	if err := seen.Text(d, &text); err != nil {
		return err
	}
	value, err := caddy.ParseDuration(text)
	if err != nil || value <= 0 {
		return d.Errf("%s is %q; it takes a duration above zero, such as 30s or 12h", word, text)
	}
	*to = caddy.Duration(value)
	return nil
}

// Once remembers the scalar words of a block: each may stand there once.
type Once map[string]bool

// First reads a word that may stand once.
func (seen Once) First(d *caddyfile.Dispenser) error {
	word := d.Val()
	if seen[word] {
		return d.Errf("%s is there twice", word)
	}
	seen[word] = true
	return nil
}

// Text reads a word with one argument.
func (seen Once) Text(d *caddyfile.Dispenser, to *string) error {
	word := d.Val()
	if err := seen.First(d); err != nil {
		return err
	}
	if args := d.RemainingArgs(); len(args) != 1 || args[0] == "" {
		return d.Errf("%s takes one argument that is not empty", word)
	}
	*to = d.Val()
	return nil
}

// Number reads a word with a number from 1 to most. what says of what, for
// error texts.
func (seen Once) Number(d *caddyfile.Dispenser, to *int, what string, most int) error {
	word, text := d.Val(), ""
	if err := seen.Text(d, &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return d.Errf("%s is %q; it takes %s, 1 to %d", word, text, what, most)
	}
	*to = n
	return nil
}

// Flag reads a word without arguments.
func (seen Once) Flag(d *caddyfile.Dispenser, to *bool) error {
	word := d.Val()
	if err := seen.First(d); err != nil {
		return err
	}
	if len(d.RemainingArgs()) > 0 {
		return d.Errf("%s takes no argument", word)
	}
	*to = true
	return nil
}

// List reads a word with one or more arguments and adds them.
func List(d *caddyfile.Dispenser, to *[]string) error {
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

// Wrap adds the line that d stands at to an error, if there is one.
func Wrap(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	return d.WrapErr(err)
}

// At adds the line of a token that d has passed.
func At(token caddyfile.Token, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w, at %s:%d", err, token.File, token.Line)
}
