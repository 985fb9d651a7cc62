package doctor

import (
	"context"
	"fmt"

	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/stores"
)

// doStore is where to look if a configuration cannot have the store's module.
const doStore = "correct the words of \"store\", or the files and variables that they name"

// checkStore looks at the place of the grants, as at an issuer: what is missing
// there is seen before the first client comes.
func (d *doctor) checkStore(c *config.Config) {
	if !c.KeepsGrants() {
		return
	}
	store, err := d.storeOf(c.Session)
	if err != nil {
		d.say("", checkConfig, resultFail, doStore, "session: store: %v", err)
		return
	}
	if s := c.Session; s != nil {
		if err := s.CheckKeysFor(store); err != nil {
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
func (d *doctor) storeOf(s *grants.Session) (store stores.Store, err error) {
	defer func() { // a module may need more of Caddy than there is here
		if p := recover(); p != nil {
			err = fmt.Errorf("this kind can be used by a running Caddy alone: %v", p)
		}
	}()
	if s == nil {
		s = new(grants.Session)
	}
	return (&grants.Session{Store: s.Store}).LoadStore(d.caddy)
}
