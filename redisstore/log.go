package redisstore

import (
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// libraryLog takes what the client library would write to the standard error
// output. Failures of calls are reported by the caller.
type libraryLog struct{}

// Printf logs a line.
func (libraryLog) Printf(_ context.Context, format string, values ...any) {
	if entry := caddy.Log().Named("http.oauth.stores.redis").Check(zap.DebugLevel, "the client library says"); entry != nil {
		entry.Write(zap.String("text", fmt.Sprintf(format, values...)))
	}
}
