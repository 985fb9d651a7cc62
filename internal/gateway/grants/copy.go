package grants

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// What a copy of a store is refused for.
var (
	ErrWhichStore = errors.New("name one store")
	ErrNoCopy     = errors.New("this store cannot be copied while it runs, only by its own means")
)

// Copy is the whole store of this identity as it is now. Without one it is the only
// store there is.
func Copy(ctx context.Context, identity string) (session.Copied, error) {
	all := allVaults()
	at := slices.IndexFunc(all, func(v *vault) bool { return v.identity == identity })
	if identity == "" && len(all) == 1 {
		at = 0
	}
	if at < 0 {
		var names []string
		for _, v := range all {
			names = append(names, v.identity)
		}
		return nil, fmt.Errorf("%w, of %q", ErrWhichStore, names)
	}
	v := all[at]
	rows, err := v.openRows(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.identity, err)
	}
	store, ok := rows.(session.Copier)
	if !ok {
		return nil, fmt.Errorf("%s: %w", v.identity, ErrNoCopy)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(v.ctx, cancel)() // a store that closes waits for nobody who reads it
	return store.Copy(ctx)
}

// openRows answers the store itself, open.
func (v *vault) openRows(ctx context.Context) (session.Store, error) {
	if _, err := v.open(ctx); err != nil {
		return nil, err
	}
	select {
	case v.opening <- struct{}{}:
		defer func() { <-v.opening }()
		return v.rows, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
