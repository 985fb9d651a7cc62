package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/signals"
)

// subscription is a signals block of a configuration, ready to be asked.
type subscription struct {
	issuer   string
	hosts    config.Hosts
	receiver *signals.Receiver
}

// address is that of a path at the site, or "": the site has not one host.
func (s *subscription) address(path string) string {
	if len(s.hosts) != 1 || strings.ContainsAny(s.hosts[0], "*{") {
		return ""
	}
	return "https://" + s.hosts[0] + path
}

// subscriptions finds those of a configuration, each once. only: of one issuer; "":
// of all.
func subscriptions(parent context.Context, doc []byte, only string) (found []subscription, release func(), err error) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: parent})
	releases := []func(){cancel}
	release = func() {
		for _, each := range slices.Backward(releases) {
			each()
		}
	}
	sites, err := config.Find(doc)
	if err != nil {
		return nil, release, err
	}
	seen := map[string]bool{}
	for _, at := range sites {
		c, err := at.Read()
		if err == nil {
			err = c.Check()
		}
		if err != nil {
			return nil, release, err
		}
		for _, issuer := range c.Issuer {
			if issuer.Signals == nil {
				continue
			}
			one, done, err := open(ctx, issuer)
			if err != nil {
				return nil, release, err
			}
			releases = append(releases, done)
			key := one.issuer + " " + issuer.Signals.URL + " " + issuer.Signals.Stream + " " + issuer.Signals.Push
			if only != "" && one.issuer != only || seen[key] {
				continue
			}
			one.hosts, seen[key] = at.Hosts, true
			found = append(found, one)
		}
	}
	switch {
	case len(found) == 0 && only != "":
		err = fmt.Errorf("no issuer %s with signals is in this configuration", only)
	case len(found) == 0:
		err = errors.New("no issuer of this configuration has signals")
	}
	return found, release, err
}

func open(ctx caddy.Context, issuer *issuers.Issuer) (one subscription, release func(), err error) {
	release = func() {}
	repl := caddy.NewReplacer()
	if one.issuer, err = grammar.Resolve(repl, "issuer", issuer.URL[0]); err != nil {
		return one, release, err
	}
	set, err := issuer.Resolve(ctx, repl)
	if err != nil {
		return one, release, fmt.Errorf("issuer %s: %w", one.issuer, err)
	}
	var client *as.Client
	if issuer.Client != nil {
		if client, err = issuer.Client.Resolve(repl); err != nil {
			return one, release, fmt.Errorf("issuer %s: %w", one.issuer, err)
		}
	}
	cfg := issuer.Server(one.issuer, set)
	cfg.Now, cfg.Jitter = time.Now, func() float64 { return 0 }
	server := as.New(cfg)
	receiver, leave := issuer.Receive(one.issuer, set, client, server, "command")
	one.receiver = receiver
	return one, func() { leave(); server.Close() }, nil
}
