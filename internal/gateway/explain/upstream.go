package explain

import (
	"net/http"

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
}
