package stores

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/session/boltstore"
)

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

// Interface guards
var (
	_ caddy.Provisioner     = (*BoltStore)(nil)
	_ caddyfile.Unmarshaler = (*BoltStore)(nil)
	_ Store                 = (*BoltStore)(nil)
	_ Examiner              = (*BoltStore)(nil)
)
