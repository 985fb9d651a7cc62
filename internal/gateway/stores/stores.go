// Package stores holds the modules http.oauth.stores.bolt and .memory, and says
// what a module of that namespace has to be.
package stores

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/session/boltstore"
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
	// Shared tells whether other processes use the place at the same time.
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

// BoltStore keeps grants in a file of this machine: for one process, and over
// restarts.
type BoltStore struct {
	// The file. Default: oauth/grants.db in Caddy's data directory.
	Path string `json:"path,omitempty"`

	path string
}

// CaddyModule names the module.
func (*BoltStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.oauth.stores.bolt", New: func() caddy.Module { return new(BoltStore) }}
}

// Provision finds the file's one name, and leaves the file alone.
func (s *BoltStore) Provision(caddy.Context) error {
	path, err := grammar.Resolve(caddy.NewReplacer(), "store bolt", s.Path)
	if err != nil {
		return err
	}
	if path == "" {
		path = filepath.Join(caddy.AppDataDir(), "oauth", "grants.db")
	}
	if s.path, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("store bolt %s: %w", path, err)
	}
	if file, err := filepath.EvalSymlinks(s.path); err == nil {
		s.path = file
	} else if dir, err := filepath.EvalSymlinks(filepath.Dir(s.path)); err == nil {
		s.path = filepath.Join(dir, filepath.Base(s.path)) // the file comes later
	}
	return nil
}

// UnmarshalCaddyfile reads: bolt [<path>]
func (s *BoltStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	switch args := d.RemainingArgs(); len(args) {
	case 0:
	case 1:
		s.Path = args[0]
	default:
		return d.Errf("store bolt takes one path at most")
	}
	return grammar.NoBlock(d, "store bolt")
}

// Identity is the file's name.
func (s *BoltStore) Identity() string { return "bolt " + s.path }

// Shared is false: bbolt locks the file.
func (*BoltStore) Shared() bool { return false }

// Open opens the file, or makes it.
func (s *BoltStore) Open(context.Context) (session.Store, func() error, error) {
	db, err := boltstore.Open(s.path, time.Now)
	if err != nil {
		return nil, nil, err
	}
	return db, db.Close, nil
}

// Examine looks at the file and its disk.
func (s *BoltStore) Examine(context.Context) []session.Finding { return boltstore.Examine(s.path) }

// MemoryStore keeps grants in memory, for tests: all are gone with the process.
type MemoryStore struct{}

// CaddyModule names the module.
func (*MemoryStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.oauth.stores.memory", New: func() caddy.Module { return new(MemoryStore) }}
}

// UnmarshalCaddyfile reads: memory
func (*MemoryStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.Errf("store memory takes no argument")
	}
	return grammar.NoBlock(d, "store memory")
}

// Identity is the same for all: there is one memory.
func (*MemoryStore) Identity() string { return "memory" }

// Shared is false.
func (*MemoryStore) Shared() bool { return false }

// Open makes an empty store.
func (*MemoryStore) Open(context.Context) (session.Store, func() error, error) {
	return onlyOurs{session.NewMemory(time.Now)}, func() error { return nil }, nil
}

// onlyOurs says that nobody else writes, so that rows may be remembered.
type onlyOurs struct{ *session.Memory }

// Exclusive is true: another process has another memory.
func (onlyOurs) Exclusive() bool { return true }

// ErrNoStoreModule is a module of another kind where a store is wanted.
var ErrNoStoreModule = errors.New("not a module of http.oauth.stores")

// Interface guards
var (
	_ caddy.Provisioner     = (*BoltStore)(nil)
	_ caddyfile.Unmarshaler = (*BoltStore)(nil)
	_ caddyfile.Unmarshaler = (*MemoryStore)(nil)
	_ Store                 = (*BoltStore)(nil)
	_ Examiner              = (*BoltStore)(nil)
	_ Store                 = (*MemoryStore)(nil)
)
