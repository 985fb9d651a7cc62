package issuers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/breaker"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Where an issuer's keys come from.
const (
	keysFromIssuer = "issuer"
	keysFromFile   = "file"
	keysNone       = "none" // it speaks OAuth 2.0 alone
)

// State is what an operator sees of an issuer. Times that are not known are left
// out.
type State struct {
	Issuer    string        `json:"issuer"`
	Source    string        `json:"source"` // of the keys: issuer, or file
	Keys      []KeyState    `json:"keys"`
	Fetched   time.Time     `json:"fetched,omitzero"`
	LastTry   time.Time     `json:"last_try,omitzero"`
	NextFetch time.Time     `json:"next_fetch,omitzero"`
	LastError string        `json:"last_error,omitempty"`
	Restored  bool          `json:"restored"` // the keys come from the storage, not from the issuer
	Endpoints EndpointState `json:"endpoints"`
	Cache     CacheState    `json:"cache"`
	Breaker   breaker.State `json:"breaker"` // of its token endpoint

	Introspection []introspection.State `json:"introspection,omitempty"` // one for each client and settings
	StatusLists   []StatusListState     `json:"status_lists,omitempty"`  // that tokens have named not long ago
}

// StatusListState is what an operator sees of a list of statuses.
type StatusListState struct {
	URI        string    `json:"uri"`
	Tokens     int       `json:"tokens"` // that it is about
	Fetched    time.Time `json:"fetched,omitzero"`
	FreshUntil time.Time `json:"fresh_until,omitzero"` // when the next one is fetched
	GoodUntil  time.Time `json:"good_until,omitzero"`  // it counts until then, whatever fails
	LastError  string    `json:"last_error,omitempty"`
}

func (a *authority) statusLists() (all []StatusListState) {
	if a.lists == nil {
		return nil
	}
	for _, one := range a.lists.StatusLists() {
		state := StatusListState{URI: one.Address, Tokens: one.Tokens, Fetched: one.Fetched, FreshUntil: one.Next, GoodUntil: one.Until}
		if one.Err != nil {
			state.LastError = one.Err.Error()
		}
		all = append(all, state)
	}
	return all
}

// HasKeys reports whether there are keys to judge by.
func (s *State) HasKeys() bool { return s.Source != keysFromIssuer || !s.Fetched.IsZero() }

// KeyState is what an operator sees of a key.
type KeyState struct {
	KeyID      string    `json:"kid"`
	Type       string    `json:"kty"`
	Curve      string    `json:"crv,omitempty"`
	Bits       int       `json:"bits,omitempty"`
	Algorithms []string  `json:"alg"` // that the key may verify
	Since      time.Time `json:"since,omitzero"`
	Age        float64   `json:"age_seconds,omitempty"`
}

// EndpointState is which endpoints the metadata name, once they are there.
type EndpointState struct {
	Known               bool   `json:"known"`
	Token               string `json:"token,omitempty"`
	Revocation          string `json:"revocation,omitempty"`
	DeviceAuthorization string `json:"device_authorization,omitempty"`
	Introspection       string `json:"introspection,omitempty"`
}

// CacheState is how many verified tokens are remembered, of how many at most.
type CacheState struct {
	Entries int    `json:"entries"`
	Most    uint64 `json:"most"`
}

// States are those of every issuer of the process, sorted. One that stands in the
// configuration with different settings is there once for each. paused says how
// long the token endpoint of an issuer is left alone.
func States(now time.Time, paused map[string]time.Duration) []State {
	states := []State{}
	for _, auth := range authorities.All() {
		state := auth.state(now)
		state.Breaker = breaker.StateOf(paused[auth.issuer])
		state.Introspection, state.StatusLists = introspection.States(auth.key, now), auth.statusLists()
		states = append(states, state)
	}
	slices.SortStableFunc(states, func(a, b State) int { return strings.Compare(a.Issuer, b.Issuer) })
	return states
}

func (a *authority) state(now time.Time) State {
	state := State{Issuer: a.issuer, Source: keysFromIssuer, Keys: []KeyState{}}
	state.Cache = CacheState{Entries: a.cache.EstimatedSize(), Most: a.cache.GetMaximum() / bytesPerToken}
	if a.Server == nil {
		state.Source = keysFromFile
		if set, ok := a.keys.(*token.KeySet); ok {
			for _, key := range set.InfosFor(a.signed) {
				state.Keys = append(state.Keys, stateOfKey(key, time.Time{}, now))
			}
		}
		return state
	}
	if a.Server.IsPlain() {
		state.Source = keysNone
	}
	status := a.Server.Status()
	state.Fetched, state.LastTry, state.NextFetch, state.Restored = status.Fetched, status.Tried, status.Next, status.Restored
	if status.Err != nil {
		state.LastError = status.Err.Error()
	}
	for _, key := range a.Server.KeyStates(a.signed) {
		state.Keys = append(state.Keys, stateOfKey(key.KeyInfo, key.Since, now))
	}
	if ends, known := a.Server.KnownEndpoints(); known {
		state.Endpoints = EndpointState{
			Known: true, Token: ends.Token, Revocation: ends.Revocation, DeviceAuthorization: ends.DeviceAuthorization,
			Introspection: ends.Introspection,
		}
	}
	return state
}

func stateOfKey(key token.KeyInfo, since, now time.Time) KeyState {
	state := KeyState{KeyID: key.ID, Type: key.Type, Curve: key.Curve, Bits: key.Bits, Algorithms: key.Algorithms, Since: since}
	if !since.IsZero() {
		state.Age = now.Sub(since).Seconds()
	}
	return state
}

// Fetch fetches the metadata and keys of an issuer now, under each of its
// settings that do not have them from a file. An issuer that no configuration
// names is not known.
func Fetch(ctx context.Context, issuer string) (fetched, known bool, err error) {
	for _, auth := range authorities.All() {
		if auth.issuer != issuer {
			continue
		}
		known = true
		if auth.Server != nil && !auth.Server.IsPlain() {
			fetched = true
			err = errors.Join(err, auth.Server.Fetch(ctx)) // the others are fetched all the same
		}
	}
	return fetched, known, err
}
