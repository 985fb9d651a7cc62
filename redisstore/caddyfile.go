package redisstore

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
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
	if err := grammar.Block(d, s.parseWord); err != nil {
		return err
	}
	return grammar.At(line, s.check())
}

func (s *Store) parseWord(d *caddyfile.Dispenser, seen grammar.Once) error {
	texts := map[string]*string{
		"sentinel": &s.Sentinel, "sentinel_username": &s.SentinelUsername, "sentinel_password": &s.SentinelPassword,
		"username": &s.Username, "password": &s.Password, "prefix": &s.Prefix,
	}
	if to, is := texts[d.Val()]; is {
		return seen.Text(d, to)
	}
	switch d.Val() {
	case "database":
		return number(d, seen, &s.Database)
	case "connections":
		return number(d, seen, &s.Connections)
	case "replicas":
		s.Replicas = new(int)
		return number(d, seen, s.Replicas)
	case "tls":
		if err := seen.First(d); err != nil {
			return err
		}
		if len(d.RemainingArgs()) > 0 {
			return d.Errf("tls takes no argument; trust_pool says whom to trust")
		}
		s.TLS = true
		return nil
	case "trust_pool":
		return seen.TrustPool(d, &s.TrustPool)
	case "timeout":
		var given string
		if err := seen.Text(d, &given); err != nil {
			return err
		}
		value, err := caddy.ParseDuration(given)
		if err != nil || value <= 0 {
			return d.Errf("timeout is %q; it takes a duration, such as 2s", given)
		}
		s.Timeout = caddy.Duration(value)
		return nil
	}
	return grammar.Unknown(d, "store redis", words)
}

func number(d *caddyfile.Dispenser, seen grammar.Once, to *int) error {
	word, given := d.Val(), ""
	if err := seen.Text(d, &given); err != nil {
		return err
	}
	n, err := strconv.Atoi(given)
	if err != nil {
		return d.Errf("%s is %q; it takes a number", word, given)
	}
	*to = n
	return nil
}

var _ caddyfile.Unmarshaler = (*Store)(nil)
