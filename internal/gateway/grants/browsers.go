package grants

import (
	"context"
	"slices"

	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// User is who is looked for with the sub of an ID or a logout token. Another
// site may name the same issuer and mean another server, whose users are others
// and whose word ends nothing here. A change of what one's own site says of its
// issuer is no such thing.
func (k *Keeper) User(t *issuers.Trust, sub string) session.User {
	user := session.User{Issuer: t.Profile.Issuer, Client: t.Client.ID, Sub: sub}
	if k.vault.hasNamesake(k, t) {
		user.Server = t.Reach
	}
	return user
}

// hasNamesake reports whether another site has another server of the same name,
// where the gateway is the same client.
func (v *vault) hasNamesake(by *Keeper, t *issuers.Trust) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.ContainsFunc(v.keepers, func(other *Keeper) bool {
		if other.config != by.config && other.site == by.site && by.site != "" {
			return false // the same site, before or after a reload
		}
		found := other.issuer(t.Profile.Issuer)
		return found != nil && found.IsClient(t.Client.ID) && found.Reach != t.Reach
	})
}

// Browsers are the sessions of a user that are live. It waits for the user's
// turn to walk the store.
func (k *Keeper) Browsers(ctx context.Context, user session.User) ([]session.Seen, error) {
	s, leave, err := k.walk(ctx, user)
	if err != nil {
		return nil, err
	}
	defer leave()
	return s.Browsers(ctx, user)
}

// EndBrowsersBut ends the sessions of a user but one, and counts them, also if
// there is an error. It waits for the user's turn to walk the store.
func (k *Keeper) EndBrowsersBut(ctx context.Context, user session.User, but session.Key) (ended int, err error) {
	s, leave, err := k.walk(ctx, user)
	if err != nil {
		return 0, err
	}
	defer leave()
	return s.EndBrowsersBut(ctx, user, but, session.EndedLogout)
}

func (k *Keeper) walk(ctx context.Context, user session.User) (s *session.Vault, leave func(), err error) {
	if s, err = k.Open(ctx); err != nil {
		return nil, nil, err
	}
	leave, err = k.vault.walks.enter(ctx, user.Issuer, user.Sub)
	return s, leave, err
}
