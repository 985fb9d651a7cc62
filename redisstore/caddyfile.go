package redisstore

import (
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

const words = "sentinel, sentinel_username, sentinel_password, username, password, database, prefix, tls, trust_pool, replicas, timeout, connections"

// UnmarshalCaddyfile reads:
//
//	redis <address...> {
//		sentinel          <master>
//		sentinel_username <name>
//		sentinel_password <secret>
//		username          <name>
//		password          <secret>
//		database          <number>
//		prefix            <text>
//		tls
//		trust_pool        <module...>
//		replicas          <number>
//		timeout           <duration>
//		connections       <number>
//	}
func (s *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	line := d.Token()
	s.Address = d.RemainingArgs()
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if seen[word] {
			return d.Errf("%s is there twice", word)
		}
		seen[word] = true
		if err := s.parseWord(d, word); err != nil {
			return err
		}
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("%w, at %s:%d", err, line.File, line.Line)
	}
	return nil
}

func (s *Store) parseWord(d *caddyfile.Dispenser, word string) error {
	texts := map[string]*string{
		"sentinel": &s.Sentinel, "sentinel_username": &s.SentinelUsername, "sentinel_password": &s.SentinelPassword,
		"username": &s.Username, "password": &s.Password, "prefix": &s.Prefix,
	}
	if to, is := texts[word]; is {
		return text(d, to)
	}
	switch word {
	case "database":
		return number(d, &s.Database)
	case "connections":
		return number(d, &s.Connections)
	case "replicas":
		s.Replicas = new(int)
		return number(d, s.Replicas)
	case "tls":
		if len(d.RemainingArgs()) > 0 {
			return d.Errf("tls takes no argument; trust_pool says whom to trust")
		}
		s.TLS = true
		return nil
	case "trust_pool":
		return s.parseTrustPool(d)
	case "timeout":
		var given string
		if err := text(d, &given); err != nil {
			return err
		}
		value, err := caddy.ParseDuration(given)
		if err != nil || value <= 0 {
			return d.Errf("timeout is %q; it takes a duration, such as 2s", given)
		}
		s.Timeout = caddy.Duration(value)
		return nil
	}
	return d.Errf("unknown word %q in store redis; it takes %s", word, words)
}

// text reads a word with one argument.
func text(d *caddyfile.Dispenser, to *string) error {
	word := d.Val()
	if args := d.RemainingArgs(); len(args) != 1 || args[0] == "" {
		return d.Errf("%s takes one argument that is not empty", word)
	}
	*to = d.Val()
	return nil
}

func number(d *caddyfile.Dispenser, to *int) error {
	word, given := d.Val(), ""
	if err := text(d, &given); err != nil {
		return err
	}
	n, err := strconv.Atoi(given)
	if err != nil {
		return d.Errf("%s is %q; it takes a number", word, given)
	}
	*to = n
	return nil
}

func (s *Store) parseTrustPool(d *caddyfile.Dispenser) error {
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
	s.TrustPool = caddyconfig.JSONModuleObject(pool, "provider", name, nil)
	return nil
}

var _ caddyfile.Unmarshaler = (*Store)(nil)
