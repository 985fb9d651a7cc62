package admin

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
)

// Paths of the admin endpoint.
const (
	GrantsPath  = "/oauth/grants" // where "caddy oauth grants" lists and ends grants
	issuersPath = "/oauth/issuers"
)

// The routes of this room; /oauth/explain is in the room explain.
//
//	GET    /oauth/grants[?limit=n&after=…]    lists grants, without anything secret; also
//	                                          of issuer and subject, state or store
//	DELETE /oauth/grants/<sref>               ends one
//	DELETE /oauth/grants?issuer=…&subject=…   ends all of one subject
//	GET    /oauth/revocations                 lists what was taken back
//	POST   /oauth/revocations                 takes back what its JSON names
//	DELETE /oauth/revocations                 lets it in again
//	GET    /oauth/issuers                     each issuer's keys, cache and breaker
//	POST   /oauth/issuers/fetch?issuer=…      fetches its metadata and keys now
//	GET    /oauth/status                      the issuers, and each store's counts
//	GET    /oauth/stores/backup[?store=…]     a copy of a store that is a file
func init() {
	Register("admin.api.oauth",
		Route{Path: GrantsPath, Takes: "GET or DELETE", Methods: map[string]caddy.AdminHandlerFunc{
			http.MethodGet:    serveGrants,
			http.MethodDelete: endGrantsOfSubject,
		}},
		Route{Path: GrantsPath + "/", Takes: "DELETE alone", Methods: map[string]caddy.AdminHandlerFunc{
			http.MethodDelete: endGrant,
		}},
	)
	Register("admin.api.oauth_revocations",
		Route{Path: RevocationsPath, Takes: "GET, POST or DELETE", Methods: map[string]caddy.AdminHandlerFunc{
			http.MethodGet:    listRevocations,
			http.MethodPost:   revoke,
			http.MethodDelete: letIn,
		}},
	)
	Register("admin.api.oauth_issuers",
		reading(issuersPath, func() any { return issuers.States(time.Now(), grants.OpenBreakers()) }),
		Route{Path: issuersPath + "/fetch", Takes: "POST alone", Methods: map[string]caddy.AdminHandlerFunc{
			http.MethodPost: fetchIssuer,
		}},
		reading(StatusPath, readStatus),
		Route{Path: BackupPath, Takes: "GET alone", Methods: map[string]caddy.AdminHandlerFunc{
			http.MethodGet: serveBackup,
		}},
	)
}
