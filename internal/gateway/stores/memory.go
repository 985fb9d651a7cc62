package stores

import (
	"context"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

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

// onlyOurs says that no other process writes, so that rows may be remembered.
type onlyOurs struct{ *session.Memory }

// Exclusive is true: another process has another memory.
func (onlyOurs) Exclusive() bool { return true }

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*MemoryStore)(nil)
	_ Store                 = (*MemoryStore)(nil)
)
