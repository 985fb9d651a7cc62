package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"
)

// Once reports whether it is called for the first time with these parts, on any
// node, and remembers it until then: by the clock of the store. The error is an
// *Unavailable: nobody knows.
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

// Seal hides and binds a text that others keep for us, such as a cookie. It is
// opened for the same purpose and bound alone, on any node with the keyring.
func (v *Vault) Seal(purpose, bound string, plain []byte) ([]byte, error) {
	return v.cfg.Load().ring.sealText(purpose, []byte(bound), plain)
}

// Open is the way back. Every error says that it was not sealed here, or with a
// key that is gone.
func (v *Vault) Open(purpose, bound string, sealed []byte) ([]byte, error) {
	return v.cfg.Load().ring.openText(purpose, []byte(bound), sealed)
}

func (r *Keyring) sealText(purpose string, bound, plain []byte) ([]byte, error) {
	k := &r.keys[0]
	box, err := cipherOf(k.text)
	if err != nil {
		return nil, err
	}
	out := slices.Concat([]byte{sealVersion}, k.id[:])
	return box.Seal(out, nil, plain, k.boundText(purpose, bound)), nil //nolint:gosec // this AEAD makes a random nonce itself
}

func (r *Keyring) openText(purpose string, bound, sealed []byte) ([]byte, error) {
	k, err := r.sealedWith(sealed)
	if err != nil {
		return nil, err
	}
	box, err := cipherOf(k.text)
	if err != nil {
		return nil, err
	}
	plain, err := box.Open(nil, nil, sealed[1+keyIDSize:], k.boundText(purpose, bound))
	if err != nil {
		return nil, errShut
	}
	return plain, nil
}

// boundText is what a sealed text cannot be separated from.
func (k *ringKey) boundText(purpose string, bound []byte) []byte {
	e := encoder{[]byte{sealVersion}}
	e.text("caddyoauth/session/text")
	e.text(purpose)
	e.bytes(bound)
	e.raw(k.id[:])
	return e.out
}
