package grammar

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// Block reads the block behind a word, if there is one: read gets each word
// of it, with d standing there, and what has stood there once.
func Block(d *caddyfile.Dispenser, read func(d *caddyfile.Dispenser, seen Once) error) error {
	seen := make(Once)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := read(d, seen); err != nil {
			return err
		}
	}
	return nil
}

// Unknown is the error of the word that d stands at, which a block does not
// take.
func Unknown(d *caddyfile.Dispenser, block, words string) error {
	if near := Nearest(d.Val(), strings.Split(words, ", ")); near != "" {
		return d.Errf("unknown word %q in %s; did you mean %s? It takes %s", d.Val(), block, near, words)
	}
	return d.Errf("unknown word %q in %s; it takes %s", d.Val(), block, words)
}

// NoBlock refuses a block behind a word that takes none.
func NoBlock(d *caddyfile.Dispenser, word string) error {
	return Block(d, func(d *caddyfile.Dispenser, _ Once) error {
		return d.Errf("%s takes no block", word)
	})
}

// TrustPool reads trust_pool, which names who vouches for a server's
// certificate: a module of tls.ca_pool.source.
func (seen Once) TrustPool(d *caddyfile.Dispenser, to *json.RawMessage) error {
	if err := seen.First(d); err != nil {
		return err
	}
	if !d.NextArg() {
		return d.Errf("trust_pool takes a module of tls.ca_pool.source, such as file /path/ca.pem")
	}
	name := d.Val()
	module, err := caddyfile.UnmarshalModule(d, "tls.ca_pool.source."+name)
	if err != nil {
		return fmt.Errorf("trust_pool: %w", err) // which names the line
	}
	pool, ok := module.(caddytls.CA)
	if !ok {
		return d.Errf("trust_pool: %s is no source of certificates", name)
	}
	*to = caddyconfig.JSONModuleObject(pool, "provider", name, nil)
	return nil
}
