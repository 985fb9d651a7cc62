package session

import (
	"context"
	"errors"
	"time"
)

// Grant opens a grant and renews nothing. The user is what [Access] has: none,
// and it is no browser's. The error is ErrNoGrant, or an *Unavailable.
func (v *Vault) Grant(ctx context.Context, h Handle) (g Grant, user ID, err error) {
	w, err := v.look(ctx, v.cfg.Load(), h, false)
	return w.grant, w.row.User, err
}

// Rotate exchanges a reference refresh token for its successor, with
// [RefreshPrefix], and answers the grant and its AT as it is, without renewing
// it. The same token again within a minute gets the same successor, for an
// answer may have got lost. A token whose successor was used too is a copy in
// foreign hands, or the successor is: it ends the grant.
//
// Whose token it is has to be asked before, with [Vault.OpenFamily]. The error
// is ErrNoGrant, or an *Unavailable: then the same token may be presented again.
func (v *Vault) Rotate(ctx context.Context, text string) (Handle, Access, Secret, error) {
	c := v.cfg.Load()
	const rounds = 16 // a row moves when one token is presented twice at once, not all the time
	for round := range rounds {
		f, err := v.family(ctx, c, text)
		if err != nil {
			return Handle{}, Access{}, Secret{}, err
		}
		switch last := f.row.Generation; {
		case f.number > last:
			return Handle{}, Access{}, Secret{}, ErrNoGrant // the store was set back
		case f.number+1 < last && round > 0:
			// When it was presented it was the last one: a request that its
			// client gave up, and then went on without.
			return Handle{}, Access{}, Secret{}, ErrNoGrant
		case f.number+1 < last:
			return Handle{}, Access{}, Secret{}, v.reused(ctx, c, &f)
		}
		w, err := v.look(ctx, c, f.grant, false)
		if err != nil {
			return Handle{}, Access{}, Secret{}, err
		}
		moved, err := v.successor(ctx, c, &f)
		if moved {
			continue
		}
		var next Secret
		if err == nil {
			next, err = f.last(c.ring) // has the row's key, or it would not have come here
		}
		if err != nil {
			return Handle{}, Access{}, Secret{}, err
		}
		v.used(ctx, c, &w)
		return f.grant, w.access(), next, nil
	}
	return Handle{}, Access{}, Secret{}, unavailable(0, "rotating a refresh token: the record does not stand still")
}

// successor brings the family to where the presented token's successor is the
// last, if it may. The row may have moved meanwhile: then look again.
func (v *Vault) successor(ctx context.Context, c *config, f *family) (moved bool, err error) {
	now, err := v.storeNow(ctx, c)
	if err != nil {
		return false, unavailable(0, "reading the store's clock: %w", err)
	}
	if f.number < f.row.Generation {
		if now.Sub(f.row.LastUsed) > successorGrace {
			return false, ErrNoGrant
		}
		return false, nil
	}
	old := f.row.Version()
	f.row.Generation++
	f.row.LastUsed = now
	if err := f.seal(c.ring); err != nil {
		return false, &Unavailable{time.Minute, err}
	}
	switch err := v.swap(ctx, c, old, f.row); {
	case err == nil:
		return false, nil
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		return true, nil
	default:
		// Perhaps it was written all the same.
		if row, again := v.confirmed(ctx, c, f.row.Key); again == nil && row.Version() != old {
			return true, nil
		}
		return false, unavailable(0, "rotating a refresh token: %w", err)
	}
}

// reused ends the grant of a token that exists in two hands. It does not end
// with the request: a thief would only have to hang up.
func (v *Vault) reused(ctx context.Context, c *config, f *family) error {
	ctx = context.WithoutCancel(ctx)
	w, err := v.look(ctx, c, f.grant, true)
	if err != nil {
		return err
	}
	err = v.End(ctx, f.grant, EndedReuse)
	if !errors.Is(err, ErrNoGrant) {
		c.observe(Event{Name: EventReuse, Sref: c.ring.Sref(w.row.Key), Issuer: w.grant.Issuer, Err: err})
	}
	if err != nil {
		return err
	}
	return ErrNoGrant
}
