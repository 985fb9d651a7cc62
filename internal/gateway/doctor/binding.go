package doctor

import (
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/as"
)

const doUnbound = "have the issuer give this API's clients plain Bearer tokens: bound ones are refused here (bound_token)"

// checkBinding tells of an issuer that binds access tokens to keys of their
// clients, which the gateway refuses. That it can do so is common, and says
// nothing of the tokens that it gives this API's clients.
func (d *doctor) checkBinding(t target, ends *as.Endpoints) {
	switch {
	case ends == nil:
	case ends.BindsAll:
		d.say(t.url, checkBinding, resultWarn, doUnbound, "the metadata say dpop_bound_access_tokens: its access tokens are bound to a key of their client")
	case len(ends.Binds) > 0:
		d.say(t.url, checkBinding, resultOK, "", "it can bind access tokens to a key of their client (%s); those that are bound are refused here (bound_token)",
			strings.Join(ends.Binds, ", "))
	}
}
