package session

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// RefreshPrefix begins every reference refresh token.
const RefreshPrefix = "ogr_"

const (
	tagSize        = 16
	refreshLetters = (lookupSize + secretSize + 8 + tagSize) / 3 * 4 // in base64url: no padding

	// successorGrace is how long a token that was exchanged is answered with
	// its successor again: an answer may have got lost on its way.
	successorGrace = time.Minute
)

// refresh is a reference refresh token: of a family with a lookup and a secret
// part of its own, the token with this number. The tag proves that the vault
// has issued it. The holder of a token knows the family's secret, but without
// the keyring makes no other token of it.
type refresh struct {
	family Handle
	number uint64
	tag    [tagSize]byte
}

// IsRefreshText reports whether text is spelled as a reference refresh token. It
// says nothing of whether there is such a token.
func IsRefreshText(text string) bool {
	_, ok := parseRefresh(text)
	return ok
}

// parseRefresh knows one spelling of each token: 72 bytes fill 96 characters
// exactly, and line breaks, which the decoder would skip, make it short.
func parseRefresh(text string) (r refresh, ok bool) {
	body, ok := strings.CutPrefix(text, RefreshPrefix)
	if !ok || len(body) != refreshLetters {
		return refresh{}, false
	}
	raw, err := strict.DecodeString(body)
	if err != nil || len(raw) != refreshLetters/4*3 {
		return refresh{}, false
	}
	var p parts
	raw = raw[copy(p.lookup[:], raw):]
	raw = raw[copy(p.secret[:], raw):]
	r.family = handleOf(&p)
	r.number = binary.BigEndian.Uint64(raw)
	copy(r.tag[:], raw[8:])
	return r, true
}

func (r *refresh) text() Secret {
	p, number := r.family.parts(), binary.BigEndian.AppendUint64(nil, r.number)
	return NewSecret(RefreshPrefix + base64.RawURLEncoding.EncodeToString(
		slices.Concat(p.lookup[:], p.secret[:], number, r.tag[:])))
}

// key names the family's row. It has a label of its own, so that no handle of
// a grant leads there.
func (r *refresh) key() Key {
	return sha256.Sum256(append([]byte("caddyoauth/session/family key/1"), r.family.parts().lookup[:]...))
}

func (k *ringKey) tag(r *refresh) (tag [tagSize]byte, err error) {
	key, err := hkdf.Key(sha256.New, r.family.parts().secret[:], k.family, "caddyoauth/session/refresh tag/1", derivedSize)
	if err != nil {
		return tag, fmt.Errorf("deriving a key of refresh tokens: %w", err)
	}
	copy(tag[:], mac(key, binary.BigEndian.AppendUint64(slices.Clone(r.family.parts().lookup[:]), r.number)))
	return tag, nil
}

// issued reports whether the tag is right under a key of the ring.
func (r *Keyring) issued(t *refresh) (ok bool, err error) {
	right := 0
	for i := range r.keys {
		tag, err := r.keys[i].tag(t)
		if err != nil {
			return false, err
		}
		right |= subtle.ConstantTimeCompare(tag[:], t.tag[:])
	}
	return right == 1, nil
}

// family is a family's row and what it says.
type family struct {
	refresh // as it was presented
	row     Row
	grant   Handle
}

const familyVersion = 1

func (f *family) seal(ring *Keyring) (err error) {
	p := f.grant.parts()
	plain := slices.Concat([]byte{familyVersion}, p.lookup[:], p.secret[:])
	f.row.Sealed, err = ring.sealAs(ForFamily, f.row.Key, &f.refresh.family.parts().secret, f.row.Generation, plain)
	return err
}

func (f *family) open(ring *Keyring) error {
	plain, err := ring.openAs(ForFamily, f.row.Key, &f.refresh.family.parts().secret, f.row.Generation, f.row.Sealed)
	if err != nil {
		return err
	}
	var p parts
	if len(plain) != 1+lookupSize+secretSize || plain[0] != familyVersion {
		return errMalformed
	}
	copy(p.lookup[:], plain[1:])
	copy(p.secret[:], plain[1+lookupSize:])
	f.grant = handleOf(&p)
	return nil
}

// last is the text of the token issued last. It is tagged under the key that
// sealed the row, so that it stays the same when the keyring rotates.
func (f *family) last(ring *Keyring) (Secret, error) {
	k, err := ring.sealedWith(f.row.Sealed)
	if err != nil {
		return Secret{}, err
	}
	r := refresh{family: f.refresh.family, number: f.row.Generation}
	if r.tag, err = k.tag(&r); err != nil {
		return Secret{}, err
	}
	return r.text(), nil
}

// StartFamily gives a grant reference refresh tokens, and answers the first,
// with [RefreshPrefix]. Call it once, after Create: each call begins a family,
// and they know nothing of each other. On an error no client holds a token.
func (v *Vault) StartFamily(ctx context.Context, h Handle) (Secret, error) {
	c := v.cfg.Load()
	w, err := v.look(ctx, c, h, false)
	if err != nil {
		return Secret{}, err
	}
	f := family{refresh: refresh{family: NewHandle()}, grant: h}
	now := c.o.Now()
	f.row = Row{Key: f.key(), Generation: 1, Purpose: ForFamily, Created: now, LastUsed: now, Until: w.grant.End}
	if err := f.seal(c.ring); err != nil {
		return Secret{}, err
	}
	asking, cancel := context.WithTimeout(ctx, c.o.StoreTimeout)
	defer cancel()
	if err := v.store.Create(asking, f.row); err != nil {
		return Secret{}, unavailable(0, "storing a family of refresh tokens: %w", err)
	}
	return f.last(c.ring)
}

// OpenFamily answers the grant of a reference refresh token, whether the token
// is the newest or an old one, and changes nothing: for what has to be known
// before Rotate, and for revocation. The error is ErrNoGrant, or an
// *Unavailable. The grant may have ended.
func (v *Vault) OpenFamily(ctx context.Context, text string) (Handle, error) {
	f, err := v.family(ctx, v.cfg.Load(), text)
	return f.grant, err
}

func (v *Vault) family(ctx context.Context, c *config, text string) (f family, err error) {
	t, ok := parseRefresh(text)
	if !ok {
		return family{}, ErrNoGrant
	}
	f.refresh = t
	f.row, err = v.load(ctx, c, t.key())
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && (f.row.Dead || f.row.Purpose != ForFamily):
		return family{}, ErrNoGrant
	case err != nil:
		return family{}, unavailable(0, "reading a family of refresh tokens: %w", err)
	}
	// Without the row's key nothing can be said of the tag either.
	if _, err := c.ring.sealedWith(f.row.Sealed); err != nil {
		return family{}, &Unavailable{time.Minute, err}
	}
	switch ok, err := c.ring.issued(&t); {
	case err != nil:
		return family{}, &Unavailable{time.Minute, err}
	case !ok:
		return family{}, ErrNoGrant
	}
	if err = f.open(c.ring); errors.Is(err, errShut) {
		return family{}, ErrNoGrant
	} else if err != nil {
		return family{}, &Unavailable{time.Minute, err}
	}
	return f, nil
}
