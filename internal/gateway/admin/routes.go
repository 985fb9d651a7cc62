package admin

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
)

const (
	grantsPath  = "/oauth/grants"
	issuersPath = "/oauth/issuers"
)

// The routes of this room; /oauth/explain is in the room explain.
//
//	GET    /oauth/grants[?limit=n]            lists grants, without anything secret
//	DELETE /oauth/grants/<sref>               ends one
//	DELETE /oauth/grants?issuer=…&subject=…   ends all of one subject
//	GET    /oauth/issuers                     each issuer's keys, cache and breaker
//	POST   /oauth/issuers/fetch?issuer=…      fetches its metadata and keys now
//	GET    /oauth/status                      the issuers, and each store's counts
//	GET    /oauth/stores/backup[?store=…]     a copy of a store that is a file
func init() {
	Register("admin.api.oauth",
		Route{Path: grantsPath, Takes: "GET or DELETE", Methods: map[string]caddy.AdminHandlerFunc{
			http.MethodGet:    serveGrants,
			http.MethodDelete: endGrantsOfSubject,
		}},
		Route{Path: grantsPath + "/", Takes: "DELETE alone", Methods: map[string]caddy.AdminHandlerFunc{
			http.MethodDelete: endGrant,
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
