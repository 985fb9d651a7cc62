package explain

import (
	"fmt"
	"net/http"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// readUpstream ends with what the upstream would see of who calls.
func (e *explaining) readUpstream(p *token.Principal) {
	if e.Verdict != accepted {
		return
	}
	headers := http.Header{}
	if e.gateway.identity.Headers(headers, p) != nil {
		return // it was told before
	}
	e.gateway.identity.Each(func(claim, header string) {
		if value := headers.Get(header); value != "" {
			e.Upstream = append(e.Upstream, header+": "+value)
			return
		}
		e.Upstream = append(e.Upstream, "no "+header+": the token has no claim "+claim)
	})
	switch {
	case e.gateway.StripToken:
		e.Upstream = append(e.Upstream, "no token: strip_token")
	default:
		e.Upstream = append(e.Upstream, "the token itself")
	}
	e.noteStreams(p)
}

// noteStreams tells what becomes of a connection that is opened with the token, where
// the configuration says something of such.
func (e *explaining) noteStreams(p *token.Principal) {
	switch s := e.gateway.Streams; {
	case s == nil:
	case s.OnExpiry == "keep":
		e.Notes = append(e.Notes, "A connection that is opened with it goes on when it has run out (on_expiry keep).")
	default:
		e.Notes = append(e.Notes, fmt.Sprintf("A connection that is opened with it ends at %s, when it has run out, a WebSocket with the code %d.", p.Until().UTC().Format(time.RFC3339), s.Code()))
	}
}
