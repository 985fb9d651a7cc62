package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// Once reports whether it is called for the first time with these parts, on any
// node, and remembers it until then: by the clock of the store. The error is an
// *Unavailable: it is not known.
func (v *Vault) Once(ctx context.Context, purpose string, until time.Time, parts ...string) (first bool, err error) {
	c := v.cfg.Load()
	now := c.o.Now()
	asking, cancel := context.WithTimeout(ctx, c.o.StoreTimeout)
	defer cancel()
	row := Row{Key: onceKey(purpose, parts), Generation: 1, Purpose: ForOnce, Created: now, LastUsed: now, Until: until}
	switch err := v.store.Create(asking, row); {
	case errors.Is(err, ErrExists):
		return false, nil
	case err != nil:
		return false, unavailable(0, "noting what may happen once: %w", err)
	}
	return true, nil
}

// CameToNothing undoes [Vault.Once], so that no row stays of it.
func (v *Vault) CameToNothing(ctx context.Context, purpose string, parts ...string) error {
	if err := v.forget(ctx, v.cfg.Load(), onceKey(purpose, parts)); err != nil {
		return unavailable(0, "forgetting what came to nothing: %w", err)
	}
	return nil
}

// Happened reports whether Once was called with these parts.
func (v *Vault) Happened(ctx context.Context, purpose string, parts ...string) (bool, error) {
	switch _, err := v.load(ctx, v.cfg.Load(), onceKey(purpose, parts)); {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, unavailable(0, "reading what may happen once: %w", err)
	}
	return true, nil
}

// onceKey takes no key of the ring, so that a rotation forgets nothing.
func onceKey(purpose string, parts []string) Key {
	e := encoder{[]byte("caddyoauth/session/once/1")}
	e.text(purpose)
	for _, part := range parts {
		e.text(part)
	}
	return sha256.Sum256(e.out)
}
