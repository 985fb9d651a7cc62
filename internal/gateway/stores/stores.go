// Package stores holds the modules http.oauth.stores.bolt and .memory, and says
// what a module of that namespace has to be.
package stores

import (
	"context"
	"errors"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

func init() {
	caddy.RegisterModule(new(BoltStore))
	caddy.RegisterModule(new(MemoryStore))
}

// Store is a module of http.oauth.stores: a place for grants. Provisioning one
// opens nothing.
type Store interface {
	// Identity names the place. Gateways that name the same one share it.
	Identity() string
	// Shared reports whether other processes use the place at the same time.
	Shared() bool
	// Open opens the place. close is never nil without an error.
	Open(ctx context.Context) (rows session.Store, closeStore func() error, err error)
}

// OpenApplier is what a Store may be beside: a later configuration that names
// the same place may have other settings for it. rows is what Open answered.
type OpenApplier interface {
	Apply(rows session.Store)
}

// Examiner is what a Store may be beside: it looks at the place before grants
// are kept there, as the doctor and the start do, and leaves it as it was. The
// place may be in use.
type Examiner interface {
	Examine(ctx context.Context) []session.Finding
}

// ErrNoStoreModule is a module of another kind where a store is wanted.
var ErrNoStoreModule = errors.New("not a module of http.oauth.stores")
