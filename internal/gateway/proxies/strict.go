// Package proxies is about whose word Caddy takes on where a request comes from,
// and on the address that it was sent to.
package proxies

import (
	"reflect"
	"sync"
	"weak"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// Most proxies add the address that they see to the X-Forwarded-For that a
// client sent. Caddy reads that header from the left, where the client writes,
// unless trusted_proxies_strict has it read from the right. So without the word
// a client takes another address for each request, and no limit that counts by
// address ever ends; or it takes another client's, and uses up that one's part.
const (
	Loose          = "trusted_proxies without trusted_proxies_strict: clients may choose the address that limits count by"
	DoStrict       = "write trusted_proxies_strict beside trusted_proxies, in servers"
	Check          = "proxies"
	Proven         = "trusted_proxies is strict: clients cannot choose the address that limits count by"
	trustedProxies = "trustedProxies" // caddyhttp.Server has no other sign of them once they are loaded
)

// Warn says once for each server that its trusted_proxies are not
// strict.
func Warn(ctx caddy.Context, log *zap.Logger) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if ok && server.TrustedProxiesStrict == 0 && trustsProxies(server) && warned.first(server) {
		log.Warn(Loose, zap.String("do", DoStrict), zap.Strings("listen", server.Listen))
	}
}

func trustsProxies(server *caddyhttp.Server) bool {
	loaded := reflect.ValueOf(server).Elem().FieldByName(trustedProxies)
	return server.TrustedProxiesRaw != nil || loaded.Kind() == reflect.Interface && !loaded.IsNil()
}

// warned is the server that was warned of last: they are provisioned one after
// the other, and each oauth in them twice.
var warned lastServer

type lastServer struct {
	mu   sync.Mutex
	last weak.Pointer[caddyhttp.Server]
}

func (l *lastServer) first(server *caddyhttp.Server) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.last
	l.last = weak.Make(server)
	return before != l.last
}
