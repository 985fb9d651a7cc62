package telemetry

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// Known leaves an empty field out of a log line.
func Known(name, value string) zap.Field {
	if value == "" {
		return zap.Skip()
	}
	return zap.String(name, value)
}

// Granted is what a token request that went well is counted as.
const Granted = "granted"

// Bounded keeps what a stranger sends short in a log.
func Bounded(text string) string {
	const most = 100
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// ClientAddress is where a request comes from, by Caddy's trusted_proxies.
func ClientAddress(r *http.Request) string {
	address, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return address
}
