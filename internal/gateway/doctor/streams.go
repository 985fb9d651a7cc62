package doctor

import (
	"encoding/json"

	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
)

// checkStreams looks at what becomes of connections that stay open.
func (d *doctor) checkStreams(c *config.Config) {
	s := c.Streams
	if s == nil {
		return
	}
	if s.OnExpiry == "keep" {
		d.say("", checkSettings, resultWarn, "take the word out, unless clients have no way to begin again with a new token",
			"on_expiry keep: an open connection outlives its access token, for as long as client and upstream like")
	}
	if s.OnRenewal != "" {
		d.say("", checkSettings, resultOK, "", "on_renewal: the upstream is told at %s, and caddy_oauth_streams_renewals_total counts what it answers", s.OnRenewal)
	}
	if s.CloseCode != 0 && d.cuts {
		d.say("", checkSettings, resultWarn, "write stream_close_delay into reverse_proxy, such as 8h: what let a WebSocket in is judged on meanwhile",
			"close_code is for WebSockets, and each reload of Caddy closes those of a reverse_proxy without stream_close_delay at once")
	}
}

// cutsAtReload reports whether some reverse_proxy of a configuration closes WebSockets
// at a reload.
func cutsAtReload(whole []byte) bool {
	var doc any
	if json.Unmarshal(whole, &doc) != nil {
		return false
	}
	var cuts func(at any) bool
	cuts = func(at any) bool {
		switch at := at.(type) {
		case []any:
			for _, one := range at {
				if cuts(one) {
					return true
				}
			}
		case map[string]any:
			if at["handler"] == "reverse_proxy" && at["stream_close_delay"] == nil {
				return true
			}
			for _, one := range at {
				if cuts(one) {
					return true
				}
			}
		}
		return false
	}
	return cuts(doc)
}
