package grants

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/stores"
)

// Words are those of the block, for error texts.
const Words = "store, idle, max, keys, refresh_ahead, min_refresh_interval, token_timeout, lease, refresh_wait, reuse_grace, on_uncertain, grants_per_client, grants_per_subject"

// Parse reads:
//
//	session {
//		store                <module...>
//		idle                 <duration>
//		max                  <duration>
//		keys                 <secret...>
//		refresh_ahead        <duration>
//		min_refresh_interval <duration>
//		token_timeout        <duration>
//		lease                <duration>
//		refresh_wait         <duration>
//		reuse_grace          <duration>
//		on_uncertain         retry|reauth
//		grants_per_client    <n>
//		grants_per_subject   <n>
//	}
func Parse(d *caddyfile.Dispenser, seen grammar.Once) (*Session, error) {
	if err := seen.First(d); err != nil {
		return nil, err
	}
	line, s := d.Token(), new(Session)
	if len(d.RemainingArgs()) > 0 {
		return nil, d.Errf("session takes a block: session { ... }")
	}
	if err := grammar.Block(d, s.parseWord); err != nil {
		return nil, err
	}
	return s, grammar.At(line, s.Check())
}

func (s *Session) parseWord(d *caddyfile.Dispenser, seen grammar.Once) error {
	word := d.Val()
	for _, duration := range s.durations() {
		if duration.word == word {
			return seen.Duration(d, duration.at)
		}
	}
	for _, number := range s.numbers() {
		if number.word == word {
			return seen.Number(d, number.at, "a number of grants", MostGrants)
		}
	}
	switch word {
	case "store":
		return s.parseStore(d, seen)
	case "keys":
		return grammar.List(d, &s.Keys)
	case "on_uncertain":
		if err := seen.Text(d, &s.OnUncertain); err != nil {
			return err
		}
		if _, known := onUncertain[s.OnUncertain]; !known {
			return d.Errf("on_uncertain is %q; it takes retry or reauth", s.OnUncertain)
		}
		return nil
	}
	return grammar.Unknown(d, "session", Words)
}

func (s *Session) parseStore(d *caddyfile.Dispenser, seen grammar.Once) error {
	if err := seen.First(d); err != nil {
		return err
	}
	if !d.NextArg() {
		return d.Errf("store takes a module of http.oauth.stores: bolt [<path>], redis <address...> or memory")
	}
	name := d.Val()
	if _, err := caddy.GetModule("http.oauth.stores." + name); err != nil {
		return d.Errf("store %s: there is no such store here; it takes bolt [<path>], redis <address...> or memory", name)
	}
	module, err := caddyfile.UnmarshalModule(d, "http.oauth.stores."+name)
	if err != nil {
		return fmt.Errorf("store: %w", err) // which names the line
	}
	if _, ok := module.(stores.Store); !ok {
		return d.Errf("store %s: %v", name, stores.ErrNoStoreModule)
	}
	s.Store = caddyconfig.JSONModuleObject(module, "module", name, nil)
	return nil
}
