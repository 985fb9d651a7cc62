package caddyoauth

import (
	"time"

	"github.com/caddyoauth/caddyoauth/internal/breaker"
)

// inquiryState is what an operator sees of asking an issuer about tokens.
type inquiryState struct {
	Endpoint   string        `json:"endpoint,omitempty"` // absent until it is known
	Client     string        `json:"client"`
	Always     bool          `json:"always"`
	Remembered int           `json:"remembered"`
	Inactive   int           `json:"inactive"` // of those that are remembered as such
	Breaker    breaker.State `json:"breaker"`
}

// inquiryStates are those of asking about an authority's tokens.
func inquiryStates(authority string, now time.Time) (states []inquiryState) {
	for _, q := range inquiries.All() {
		if q.authority == authority {
			states = append(states, q.state(now))
		}
	}
	return states
}

func (q *inquiry) state(now time.Time) inquiryState {
	state := inquiryState{
		Breaker:  breaker.StateOf(q.paused(now)),
		Endpoint: q.at.Endpoint, Client: q.at.Client.ID, Always: q.always,
		Remembered: q.active.EstimatedSize(), Inactive: q.inactive.EstimatedSize(),
	}
	if ends, known := q.server.KnownEndpoints(); known && state.Endpoint == "" {
		state.Endpoint = ends.Introspection
	}
	return state
}
