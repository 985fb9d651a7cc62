package caddyoauth

import (
	"context"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// settled is a store with settings of which its identity says nothing.
type settled struct {
	MemoryStore
	name    string
	applied []session.Store
}

func (p *settled) Identity() string         { return p.name }
func (p *settled) Apply(rows session.Store) { p.applied = append(p.applied, rows) }

func TestALaterConfigurationOfTheSamePlaceAppliesItsSettingsToTheOpenStore(t *testing.T) {
	var rows session.Store
	stores := []*settled{{name: t.Name()}, {name: t.Name()}}
	for i, store := range stores {
		tenant := &tenant{store: store, options: new(Session).options(), keys: [][]byte{[]byte(firstKey)}, log: zap.NewNop(),
			storage: caddy.DefaultStorage, issuer: func(string) *trust { return nil }}
		v, release := join(tenant)
		t.Cleanup(release)
		if _, err := tenant.enter(context.Background(), v); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			rows = v.rows
		}
	}
	if len(stores[0].applied) > 0 || len(stores[1].applied) != 1 || stores[1].applied[0] != rows {
		t.Errorf("%v, %v", stores[0].applied, stores[1].applied)
	}
}
