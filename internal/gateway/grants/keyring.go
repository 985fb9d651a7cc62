package grants

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/caddyserver/certmagic"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// The keyring of a single node, in Caddy's storage.
const (
	keyringFile = "oauth/keyring.json"
	keyringLock = "oauth_keyring"
	keySize     = 32
)

type keyringContent struct {
	Keys [][]byte `json:"keys"` // the first one seals
}

// keyring is made of the configured keys, the first of which seals. Without
// any, a key in Caddy's storage does, which is made when it is needed first;
// with some, that one still opens what it sealed before. A shared store always
// has some, and never met that one. The keys of other sites, and of the
// configuration before this one, open what they sealed.
func (v *vault) keyring(ctx context.Context, keeper *Keeper) (*session.Keyring, error) {
	if !keeper.store.Shared() && (!v.looked || len(v.stored) == 0 && len(keeper.keys) == 0) {
		stored, err := loadKeyring(ctx, keeper.storage, len(keeper.keys) == 0)
		if err != nil {
			return nil, fmt.Errorf("the keyring in Caddy's storage: %w", err)
		}
		v.stored, v.looked = stored, true
	}
	keys := slices.Concat(keeper.keys, v.stored)
	v.mu.Lock()
	for _, k := range v.keepers {
		if k != keeper {
			keys = append(keys, k.keys...)
		}
	}
	v.mu.Unlock()
	return session.NewKeyring(keys[0], keys[1:]...)
}

// loadKeyring reads the stored keyring, and makes it if it has to.
func loadKeyring(ctx context.Context, storage certmagic.Storage, needed bool) ([][]byte, error) {
	keys, err := readKeyring(ctx, storage)
	if !errors.Is(err, fs.ErrNotExist) || !needed {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return keys, err
	}
	if err := storage.Lock(ctx, keyringLock); err != nil {
		return nil, err
	}
	defer func() { _ = storage.Unlock(context.WithoutCancel(ctx), keyringLock) }() // it runs out by itself
	if keys, err := readKeyring(ctx, storage); !errors.Is(err, fs.ErrNotExist) {
		return keys, err // another process was faster
	}
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process first
	keys = [][]byte{key}
	content, err := json.Marshal(keyringContent{keys})
	if err != nil {
		return nil, err
	}
	return keys, storage.Store(ctx, keyringFile, content)
}

func readKeyring(ctx context.Context, storage certmagic.Storage) ([][]byte, error) {
	content, err := storage.Load(ctx, keyringFile)
	if err != nil {
		return nil, err
	}
	var ring keyringContent
	if err := json.Unmarshal(content, &ring); err != nil || len(ring.Keys) == 0 {
		return nil, fmt.Errorf("%s holds no keyring: grants sealed under the lost one cannot be opened; remove the file to begin anew", keyringFile)
	}
	return ring.Keys, nil
}
