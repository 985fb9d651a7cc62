package grants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// State is what an operator sees of a store of grants, as counted each
// minute.
type State struct {
	Store     string `json:"store"`
	Open      bool   `json:"open"`
	Counted   bool   `json:"counted"`
	Live      int    `json:"live"`
	Renewing  int    `json:"renewing"`
	Uncertain int    `json:"uncertain"`
	Ended     int    `json:"ended"`

	Sites int `json:"-"` // that share it
}

// States are those of every store, sorted.
func States() []State {
	states := []State{}
	for _, v := range allVaults() {
		state := State{Store: v.identity, Open: v.current.Load() != nil, Sites: v.sites()}
		if n := v.counts.Load(); n != nil {
			state.Counted, state.Live, state.Renewing, state.Uncertain, state.Ended = true, n.Live, n.Renewing, n.Uncertain, n.Dead
		}
		states = append(states, state)
	}
	return states
}

// OpenBreakers says for how long the token endpoint of an issuer is left alone.
func OpenBreakers() map[string]time.Duration {
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

// Each visits what is open or can be opened now. One that fails does not
// keep the others from being visited; the error names each.
func Each(ctx context.Context, visit func(store string, s *session.Vault) error) error {
	var failed []error
	for _, v := range allVaults() {
		s, err := v.open(ctx)
		if err == nil {
			err = visit(v.identity, s)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", v.identity, err))
		}
	}
	return errors.Join(failed...)
}

func allVaults() []*vault {
	all := vaults.All()
	slices.SortFunc(all, func(a, b *vault) int { return strings.Compare(a.identity, b.identity) })
	return all
}
