package caddyoauth

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/stores"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// doStore is where somebody looks who cannot have the store's module.
const doStore = "correct the words of \"store\", or the files and variables that they name"

// checkStore looks at the place of the grants, as at an issuer: what is missing
// there is seen before the first client comes.
func (d *doctor) checkStore(g *Config) {
	if !g.keepsGrants() {
		return
	}
	store, err := d.storeOf(g.Session)
	if err != nil {
		d.say("", checkConfig, resultFail, doStore, "session: store: %v", err)
		return
	}
	if s := g.Session; s != nil {
		if err := s.checkKeysFor(store); err != nil {
			d.say("", checkConfig, resultFail, "write keys into session, the same ones at each node: the output of \"openssl rand -base64 32\" in a file", "%v", err)
		}
	}
	examiner, ok := store.(stores.Examiner)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, visitWithin)
	defer cancel()
	for _, one := range examiner.Examine(ctx) {
		d.say("", one.Check, one.Result, one.Do, "%s", one.Text)
	}
}

// storeOf makes the store of some settings, as Provision does. Nothing is opened.
func (d *doctor) storeOf(s *Session) (store stores.Store, err error) {
	defer func() { // a module may need more of Caddy than there is here
		if p := recover(); p != nil {
			err = fmt.Errorf("this kind can be used by a running Caddy alone: %v", p)
		}
	}()
	if s == nil || s.Store == nil {
		bolt := new(stores.BoltStore)
		return bolt, bolt.Provision(d.caddy)
	}
	module, err := d.caddy.LoadModule(&Session{Store: s.Store}, "Store")
	if err != nil {
		return nil, err
	}
	store, ok := module.(stores.Store)
	if !ok {
		return nil, stores.ErrNoStoreModule
	}
	return store, nil
}

// lookAround tells the log what is amiss at the place of the grants, once for all
// sites that share it, when a configuration comes into force.
func (v *vault) lookAround() {
	if !v.looking.CompareAndSwap(false, true) {
		return
	}
	defer v.looking.Store(false)
	host := v.host()
	if host == nil {
		return
	}
	examiner, ok := host.store.(stores.Examiner)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(v.ctx, visitWithin)
	defer cancel()
	for _, one := range examiner.Examine(ctx) {
		if errors.Is(v.ctx.Err(), context.Canceled) {
			return
		}
		tell := host.log.Debug
		switch one.Result {
		case session.FindingFail:
			tell = host.log.Error
		case session.FindingWarn:
			tell = host.log.Warn
		}
		tell("looked at the store of grants", zap.String("store", v.identity), zap.String("check", one.Check),
			zap.String("result", one.Result), zap.String("detail", one.Text), known("do", one.Do))
	}
}
