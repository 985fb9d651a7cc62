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
		{Pattern: issuersPath, Handler: reading(func() any { return issuerStates(time.Now(), openBreakers()) })},
		{Pattern: issuersPath + "/fetch", Handler: caddy.AdminHandlerFunc(a.serveFetch)},
		{Pattern: statusPath, Handler: reading(func() any {
			return gatewayState{Issuers: issuerStates(time.Now(), openBreakers()), Stores: storeStates()}
		})},
	}
}

// gatewayState is what "caddy oauth status" prints.
type gatewayState struct {
	Issuers []issuerState `json:"issuers"`
	Stores  []storeState  `json:"stores"`
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
	fetched, known, err := fetchKeys(ctx, issuer)
	switch {
	case err != nil:
		return fetchFailed(w, issuer, err)
	case !known:
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("no issuer %.200q is configured; the text must be the same to the letter", issuer)}
	case !fetched:
		return badAdmin("its keys come from a file, which is read when the configuration is loaded: reload it")
	}
	return writeAdmin(w, slices.DeleteFunc(issuerStates(time.Now(), openBreakers()), func(s issuerState) bool { return s.Issuer != issuer }))
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
