package grants

import (
	"context"
	"errors"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/stores"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

const sealingKey = "a key of the tests, of 32 characters and more"

// withSettings is a store with settings of which its identity says nothing.
type withSettings struct {
	stores.MemoryStore
	name    string
	applied []session.Store
}

func (p *withSettings) Identity() string         { return p.name }
func (p *withSettings) Apply(rows session.Store) { p.applied = append(p.applied, rows) }

func TestALaterConfigurationOfTheSamePlaceAppliesItsSettingsToTheOpenStore(t *testing.T) {
	var rows session.Store
	stores := []*withSettings{{name: t.Name()}, {name: t.Name()}}
	for i, store := range stores {
		keeper := &Keeper{store: store, options: new(Session).options(), keys: [][]byte{[]byte(sealingKey)}, Log: zap.NewNop(),
			storage: caddy.DefaultStorage}
		release, err := keeper.join()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
		if _, err := keeper.Open(context.Background()); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			rows = keeper.vault.rows
		}
	}
	if len(stores[0].applied) > 0 || len(stores[1].applied) != 1 || stores[1].applied[0] != rows {
		t.Errorf("%v, %v", stores[0].applied, stores[1].applied)
	}
}

// forMany is a store that other processes use too.
type forMany struct{ withSettings }

func (*forMany) Shared() bool { return true }

// gone is a storage that does not answer.
type gone struct{ certmagic.Storage }

func (gone) Load(context.Context, string) ([]byte, error) { return nil, errors.New("no answer") }

// What many nodes share is sealed with configured keys alone: Caddy's storage
// has no part in it, and may fail.
func TestASharedStoreOpensWhileCaddysStorageFails(t *testing.T) {
	for name, row := range map[string]struct {
		store stores.Store
		opens bool
	}{"of many nodes": {&forMany{withSettings{name: t.Name()}}, true}, "of one": {&withSettings{name: t.Name()}, false}} {
		t.Run(name, func(t *testing.T) {
			keeper := &Keeper{store: row.store, options: new(Session).options(), keys: [][]byte{[]byte(sealingKey)}, Log: zap.NewNop(),
				storage: gone{}}
			release, err := keeper.join()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(release)
			if _, err := keeper.Open(context.Background()); (err == nil) != row.opens {
				t.Error(err)
			}
		})
	}
}
