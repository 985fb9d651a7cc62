package caddyoauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

func init() {
	caddy.RegisterModule(issuersAPI{})
}

// issuersAPI tells an operator how it stands, on Caddy's admin endpoint.
//
//	GET  /oauth/issuers                   each issuer's keys, cache and breaker
//	POST /oauth/issuers/fetch?issuer=…    fetches its metadata and keys now
//	GET  /oauth/status                    the issuers, and each store's counts
type issuersAPI struct{}

// CaddyModule names the module.
func (issuersAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.oauth_issuers", New: func() caddy.Module { return issuersAPI{} }}
}

const (
	issuersPath = "/oauth/issuers"
	statusPath  = "/oauth/status"
)

// Routes are those of the admin endpoint.
func (a issuersAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: issuersPath, Handler: reading(func() any { return issuerStates() })},
		{Pattern: issuersPath + "/fetch", Handler: caddy.AdminHandlerFunc(a.serveFetch)},
		{Pattern: statusPath, Handler: reading(func() any {
			return gatewayState{Issuers: issuerStates(), Stores: storeStates()}
		})},
	}
}

// gatewayState is what "caddy oauth status" prints.
type gatewayState struct {
	Issuers []issuerState `json:"issuers"`
	Stores  []storeState  `json:"stores"`
}

// issuerState is what an operator sees of an issuer. Times that are not known
// are left out.
type issuerState struct {
	Issuer    string        `json:"issuer"`
	Source    string        `json:"source"` // of the keys: issuer, or file
	Keys      []keyState    `json:"keys"`
	Fetched   time.Time     `json:"fetched,omitzero"`
	LastTry   time.Time     `json:"last_try,omitzero"`
	NextFetch time.Time     `json:"next_fetch,omitzero"`
	LastError string        `json:"last_error,omitempty"`
	Restored  bool          `json:"restored"` // the keys come from the storage, not from the issuer
	Endpoints endpointState `json:"endpoints"`
	Cache     cacheState    `json:"cache"`
	Breaker   breakerState  `json:"breaker"`

	Introspection []inquiryState `json:"introspection,omitempty"` // one for each client and settings
}

// inquiryState is what an operator sees of asking an issuer about tokens.
type inquiryState struct {
	Endpoint   string       `json:"endpoint,omitempty"` // absent until it is known
	Client     string       `json:"client"`
	Always     bool         `json:"always"`
	Remembered int          `json:"remembered"`
	Inactive   int          `json:"inactive"` // of those that are remembered as such
	Breaker    breakerState `json:"breaker"`
}

type keyState struct {
	KeyID      string    `json:"kid"`
	Type       string    `json:"kty"`
	Curve      string    `json:"crv,omitempty"`
	Bits       int       `json:"bits,omitempty"`
	Algorithms []string  `json:"alg"` // that the key may verify
	Since      time.Time `json:"since,omitzero"`
	Age        float64   `json:"age_seconds,omitempty"`
}

type endpointState struct {
	Known               bool   `json:"known"`
	Token               string `json:"token,omitempty"`
	Revocation          string `json:"revocation,omitempty"`
	DeviceAuthorization string `json:"device_authorization,omitempty"`
	Introspection       string `json:"introspection,omitempty"`
}

type cacheState struct {
	Entries int    `json:"entries"`
	Most    uint64 `json:"most"`
}

type breakerState struct {
	Open    bool    `json:"open"`
	Seconds float64 `json:"seconds,omitempty"` // for how long still
}

// storeState is what an operator sees of a store of grants, as counted each
// minute.
type storeState struct {
	Store     string `json:"store"`
	Open      bool   `json:"open"`
	Counted   bool   `json:"counted"`
	Live      int    `json:"live"`
	Renewing  int    `json:"renewing"`
	Uncertain int    `json:"uncertain"`
	Ended     int    `json:"ended"`
}

// reading answers GET alone.
func reading(state func() any) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != http.MethodGet {
			return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("GET alone")}
		}
		return writeAdmin(w, state())
	}
}

// issuerStates tells of every issuer, sorted. One that stands in the
// configuration with different settings is there once for each.
func issuerStates() []issuerState {
	breakers, states, now := openBreakers(), []issuerState{}, time.Now()
	for _, auth := range authorities.All() {
		state := auth.state(now)
		if pause := breakers[auth.issuer]; pause > 0 {
			state.Breaker = breakerState{Open: true, Seconds: pause.Seconds()}
		}
		for _, q := range inquiries.All() {
			if q.authority == auth {
				state.Introspection = append(state.Introspection, q.state(now))
			}
		}
		states = append(states, state)
	}
	slices.SortStableFunc(states, func(a, b issuerState) int { return strings.Compare(a.Issuer, b.Issuer) })
	return states
}

func (a *authority) state(now time.Time) issuerState {
	state := issuerState{Issuer: a.issuer, Source: "issuer", Keys: []keyState{}}
	state.Cache = cacheState{Entries: a.cache.EstimatedSize(), Most: a.cache.GetMaximum()}
	if a.server == nil {
		state.Source = "file"
		if set, ok := a.keys.(*token.KeySet); ok {
			for _, key := range set.InfosFor(a.signed) {
				state.Keys = append(state.Keys, stateOfKey(key, time.Time{}, now))
			}
		}
		return state
	}
	status := a.server.Status()
	state.Fetched, state.LastTry, state.NextFetch, state.Restored = status.Fetched, status.Tried, status.Next, status.Restored
	if status.Err != nil {
		state.LastError = status.Err.Error()
	}
	for _, key := range a.server.KeyStates(a.signed) {
		state.Keys = append(state.Keys, stateOfKey(key.KeyInfo, key.Since, now))
	}
	if ends, known := a.server.KnownEndpoints(); known {
		state.Endpoints = endpointState{
			Known: true, Token: ends.Token, Revocation: ends.Revocation, DeviceAuthorization: ends.DeviceAuthorization,
			Introspection: ends.Introspection,
		}
	}
	return state
}

func (q *inquiry) state(now time.Time) inquiryState {
	state := inquiryState{
		Endpoint: q.at.Endpoint, Client: q.at.Client.ID, Always: q.always,
		Remembered: q.active.EstimatedSize(), Inactive: q.inactive.EstimatedSize(),
	}
	if ends, known := q.server.KnownEndpoints(); known && state.Endpoint == "" {
		state.Endpoint = ends.Introspection
	}
	if left := q.breaker.Open(now); left > 0 {
		state.Breaker = breakerState{Open: true, Seconds: left.Seconds()}
	}
	return state
}

func stateOfKey(key token.KeyInfo, since, now time.Time) keyState {
	state := keyState{KeyID: key.ID, Type: key.Type, Curve: key.Curve, Bits: key.Bits, Algorithms: key.Algorithms, Since: since}
	if !since.IsZero() {
		state.Age = now.Sub(since).Seconds()
	}
	return state
}

// openBreakers tells of each issuer whose token endpoint is left alone, for
// how long.
func openBreakers() map[string]time.Duration {
	pauses := map[string]time.Duration{}
	for _, v := range allVaults() {
		if s := v.current.Load(); s != nil {
			for issuer, pause := range s.Breakers() {
				pauses[issuer] = max(pauses[issuer], pause)
			}
		}
	}
	return pauses
}

func allVaults() []*vault {
	all := vaults.All()
	slices.SortFunc(all, func(a, b *vault) int { return strings.Compare(a.identity, b.identity) })
	return all
}

func storeStates() []storeState {
	states := []storeState{}
	for _, v := range allVaults() {
		state := storeState{Store: v.identity, Open: v.current.Load() != nil}
		if n := v.counts.Load(); n != nil {
			state.Counted, state.Live, state.Renewing, state.Uncertain, state.Ended = true, n.Live, n.Renewing, n.Uncertain, n.Dead
		}
		states = append(states, state)
	}
	return states
}

// fetchWithin bounds a fetch that an operator waits for.
const fetchWithin = 15 * time.Second

// serveFetch fetches the keys of an issuer now and answers how it stands then.
func (issuersAPI) serveFetch(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("POST alone")}
	}
	issuer := r.URL.Query().Get("issuer")
	if issuer == "" {
		return badAdmin("name the issuer: POST /oauth/issuers/fetch?issuer=<url>")
	}
	ctx, cancel := context.WithTimeout(r.Context(), fetchWithin)
	defer cancel()
	var failed error
	asked, known := 0, false
	for _, auth := range authorities.All() {
		if auth.issuer != issuer {
			continue
		}
		known = true
		if auth.server == nil {
			continue
		}
		asked++
		failed = errors.Join(failed, auth.server.Fetch(ctx)) // the others are fetched all the same
	}
	switch {
	case failed != nil:
		return fetchFailed(w, issuer, failed)
	case !known:
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("no issuer %.200q is configured; the text must be the same to the letter", issuer)}
	case asked == 0:
		return badAdmin("its keys come from a file, which is read when the configuration is loaded: reload it")
	}
	return writeAdmin(w, slices.DeleteFunc(issuerStates(), func(s issuerState) bool { return s.Issuer != issuer }))
}

func fetchFailed(w http.ResponseWriter, issuer string, err error) error {
	failed := caddy.APIError{HTTPStatus: http.StatusBadGateway, Err: fmt.Errorf("%s: %w", issuer, err)}
	if soon, ok := errors.AsType[*as.TooSoon](err); ok {
		failed.HTTPStatus = http.StatusTooManyRequests
		w.Header().Set("Retry-After", verdict.Seconds(soon.Wait))
	}
	return failed
}

var _ caddy.AdminRouter = issuersAPI{}
