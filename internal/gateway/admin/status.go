package admin

import (
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/revocation"
)

// StatusPath is where "caddy oauth status" reads a [Status].
const StatusPath = "/oauth/status"

// Status is what "caddy oauth status" prints.
type Status struct {
	Issuers []issuers.State `json:"issuers"`
	Stores  []grants.State  `json:"stores"`

	Revoked []revocation.State `json:"revoked"`
}

func readStatus() any {
	return Status{Issuers: issuers.States(time.Now(), grants.OpenBreakers()), Stores: grants.States(), Revoked: revocation.States()}
}
