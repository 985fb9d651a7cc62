package doctor

import (
	"slices"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/stores"
)

// shortKeep is less than many issuers' access tokens live.
const shortKeep = time.Hour

// checkRevocation looks at where it is kept what was taken back, and for how long.
func (d *doctor) checkRevocation(c *config.Config) {
	takes := c.Revocation != nil || slices.ContainsFunc(c.Issuer, func(i *issuers.Issuer) bool { return i.Signals != nil })
	switch {
	case !c.KeepsGrants() && d.stored:
		d.say("", checkRevoked, resultWarn, "write session with the store of the other site here too",
			"revocation: grants of another site are in a store, and what was taken back here is known to this process alone: it ends with it, and no other node learns of it")
	case !c.KeepsGrants() && takes:
		d.say("", checkRevoked, resultWarn, "write session { store bolt }, or a store that all nodes share",
			"revocation: what was taken back is known to this process alone: it ends with it, and no other node learns of it")
	case c.KeepsGrants() && takes && !d.keeps(c):
		d.say("", checkRevoked, resultWarn, "write store bolt into session, or a store that all nodes share",
			"revocation: what was taken back is in memory alone, as the grants are: it ends with the process")
	}
	if r := c.Revocation; r != nil && r.Keep != 0 && time.Duration(r.Keep) < shortKeep {
		d.say("", checkRevoked, resultWarn, "write a longer keep; the default is 24h",
			"revocation: keep is %s: an access token that lives longer would count again", time.Duration(r.Keep))
	}
}

// keeps reports whether grants of a site outlive the process.
func (d *doctor) keeps(c *config.Config) bool {
	if !c.KeepsGrants() {
		return false
	}
	store, err := d.storeOf(c.Session)
	return err != nil || store.Identity() != new(stores.MemoryStore).Identity()
}
