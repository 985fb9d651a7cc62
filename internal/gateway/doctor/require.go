package doctor

import (
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
)

// checkClaimsOfSeveral tells of a claim that counts whichever of several issuers
// wrote it. Who has the groups of one in hand may not be asked about the other's.
func (d *doctor) checkClaimsOfSeveral(c *config.Config) {
	if len(c.Issuer) < 2 {
		return
	}
	var claims []string
	for _, q := range c.Require {
		if q.Claim != "" && q.Claim != "iss" && !slices.Contains(claims, q.Claim) {
			claims = append(claims, q.Claim)
		}
	}
	if len(claims) > 0 {
		d.say("", checkSettings, resultWarn, "if not every issuer may grant it, write that requirement into the issuer blocks, each with the values that count there",
			"require claim %s holds for the tokens of each of %d issuer blocks: what any of them writes there counts", strings.Join(claims, ", "), len(c.Issuer))
	}
}
