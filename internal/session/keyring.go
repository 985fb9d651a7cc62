package session

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Errors of opening a sealed record.
var (
	// ErrUnknownKey: the keyring lacks the key of a record. This is the
	// operator's fault, never the caller's.
	ErrUnknownKey = errors.New("no key of the keyring fits the record")
	// errShut: the handle's secret part is not the record's, or the record
	// was changed.
	errShut = errors.New("the record does not open")
)

const (
	sealVersion = 1
	keyIDSize   = 8
	minKeySize  = 32
	derivedSize = 32
)

// Keyring seals with its first key and opens with any.
type Keyring struct{ keys []ringKey }

type ringKey struct {
	id     [keyIDSize]byte
	record []byte // one key per purpose, so that none says anything of another
	log    []byte
	digest []byte
	family []byte
	text   []byte
}

// NewKeyring takes keys of at least 32 random bytes: the current one, then
// those that still open old records.
func NewKeyring(current []byte, previous ...[]byte) (*Keyring, error) {
	ring := &Keyring{}
	for i, key := range append([][]byte{current}, previous...) {
		if len(key) < minKeySize {
			return nil, fmt.Errorf("key %d of the keyring has %d bytes, at least %d are needed", i+1, len(key), minKeySize)
		}
		var one ringKey
		for purpose, into := range map[string]*[]byte{"record": &one.record, "log": &one.log, "digest": &one.digest, "family": &one.family, "text": &one.text} {
			derived, err := hkdf.Key(sha256.New, key, nil, "caddyoauth/session/"+purpose+"/1", derivedSize)
			if err != nil {
				return nil, fmt.Errorf("deriving key %d of the keyring: %w", i+1, err)
			}
			*into = derived
		}
		id, err := hkdf.Key(sha256.New, key, nil, "caddyoauth/session/id/1", keyIDSize)
		if err != nil {
			return nil, fmt.Errorf("naming key %d of the keyring: %w", i+1, err)
		}
		copy(one.id[:], id)
		ring.keys = append(ring.keys, one)
	}
	return ring, nil
}

// String hides the keys.
func (*Keyring) String() string { return hidden }

// GoString hides the keys.
func (*Keyring) GoString() string { return hidden }

// Sref is how a log names a row: short, and of no use without the keyring.
func (r *Keyring) Sref(key Key) string {
	sum := mac(r.keys[0].log, key[:])
	return srefEncoding.EncodeToString(sum[:srefSize])
}

const srefSize = 10

var srefEncoding = base32.HexEncoding.WithPadding(base32.NoPadding)

// Digest is a keyed digest of parts, under the current key.
func (r *Keyring) Digest(purpose string, parts ...string) ID {
	return r.keys[0].digestOf(purpose, parts)
}

// Digests is Digest under every key, the current one first: what was written
// before a rotation is found by one of the others.
func (r *Keyring) Digests(purpose string, parts ...string) (all []ID) {
	for i := range r.keys {
		all = append(all, r.keys[i].digestOf(purpose, parts))
	}
	return all
}

func (k *ringKey) digestOf(purpose string, parts []string) (id ID) {
	var e encoder
	e.text(purpose)
	for _, part := range parts {
		e.text(part) // with its length, so that parts cannot run together
	}
	sum := mac(k.digest, e.out)
	copy(id[:], sum)
	return id
}

func mac(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

// aead is the cipher of one record: it takes the handle's secret part and the
// keyring, so that neither a thief of the store and the config nor a thief of
// a handle alone opens anything.
func (k *ringKey) aead(p Purpose, secret *[secretSize]byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret[:], k.record, sealLabels[p].key, derivedSize)
	if err != nil {
		return nil, err
	}
	return cipherOf(key)
}

func cipherOf(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

var sealLabels = [...]struct{ key, bound string }{
	ForGrant:  {"caddyoauth/session/row/1", "caddyoauth/session/grant"},
	ForFamily: {"caddyoauth/session/family/1", "caddyoauth/session/family"},
}

// bound is what a sealed record cannot be separated from.
func (k *ringKey) bound(p Purpose, key Key, generation uint64) []byte {
	text := make([]byte, 0, 32+len(key)+8+keyIDSize)
	text = append(text, sealLabels[p].bound...)
	text = append(text, sealVersion)
	text = append(text, key[:]...)
	text = binary.BigEndian.AppendUint64(text, generation)
	return append(text, k.id[:]...)
}

// seal encrypts g as the given generation of the handle's row.
func (r *Keyring) seal(h Handle, generation uint64, g *Grant) ([]byte, error) {
	return r.sealAs(ForGrant, h.Key(), &h.parts().secret, generation, g.encode())
}

func (r *Keyring) sealAs(p Purpose, key Key, secret *[secretSize]byte, generation uint64, plain []byte) ([]byte, error) {
	k := &r.keys[0]
	box, err := k.aead(p, secret)
	if err != nil {
		return nil, fmt.Errorf("sealing a record: %w", err)
	}
	out := make([]byte, 0, 1+keyIDSize+len(plain)+box.Overhead())
	out = append(out, sealVersion)
	out = append(out, k.id[:]...)
	return box.Seal(out, nil, plain, k.bound(p, key, generation)), nil //nolint:gosec // this AEAD makes a random nonce itself
}

// open is the way back.
func (r *Keyring) open(h Handle, generation uint64, sealed []byte) (Grant, error) {
	plain, err := r.openAs(ForGrant, h.Key(), &h.parts().secret, generation, sealed)
	if err != nil {
		return Grant{}, err
	}
	return decodeGrant(plain)
}

func (r *Keyring) openAs(p Purpose, key Key, secret *[secretSize]byte, generation uint64, sealed []byte) ([]byte, error) {
	k, err := r.sealedWith(sealed)
	if err != nil {
		return nil, err
	}
	box, err := k.aead(p, secret)
	if err != nil {
		return nil, fmt.Errorf("opening a record: %w", err)
	}
	plain, err := box.Open(nil, nil, sealed[1+keyIDSize:], k.bound(p, key, generation))
	if err != nil {
		return nil, errShut
	}
	return plain, nil
}

// sealedWith finds the key that a record names.
func (r *Keyring) sealedWith(sealed []byte) (*ringKey, error) {
	if len(sealed) < 1+keyIDSize || sealed[0] != sealVersion {
		return nil, errMalformed
	}
	for i := range r.keys {
		if bytes.Equal(r.keys[i].id[:], sealed[1:1+keyIDSize]) {
			return &r.keys[i], nil
		}
	}
	return nil, ErrUnknownKey
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

// Sref is how a log names a row: short, and of no use without the keyring.
func (v *Vault) Sref(key Key) string { return v.cfg.Load().ring.Sref(key) }
