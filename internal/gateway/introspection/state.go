package introspection

import (
	"time"

	"github.com/caddyoauth/caddyoauth/internal/breaker"
)

// State is what an operator sees of asking an issuer about tokens.
type State struct {
	Endpoint   string        `json:"endpoint,omitempty"` // absent until it is known
	Client     string        `json:"client"`
	Always     bool          `json:"always"`
	Completes  bool          `json:"lightweight,omitempty"`
	Remembered int           `json:"remembered"`
	Inactive   int           `json:"inactive"` // of those that are remembered as such
	Breaker    breaker.State `json:"breaker"`
}

// States are those of asking about an authority's tokens.
func States(authority string, now time.Time) (states []State) {
	for _, q := range All() {
		if q.authority == authority {
			states = append(states, q.state(now))
		}
	}
	return states
}

func (q *Introspector) state(now time.Time) State {
	state := State{
		Breaker:  breaker.StateOf(q.Paused(now)),
		Endpoint: q.at.Endpoint, Client: q.at.Client.ID, Always: q.Always, Completes: q.Completes,
		Remembered: q.active.EstimatedSize(), Inactive: q.inactive.EstimatedSize(),
	}
	if ends, known := q.server.KnownEndpoints(); known && state.Endpoint == "" {
		state.Endpoint = ends.Introspection
	}
	return state
}
