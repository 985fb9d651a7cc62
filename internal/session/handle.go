package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

const hidden = secret.Hidden

// Secret is a string that nothing shows; see package secret.
type Secret = secret.Text

// NewSecret hides value.
func NewSecret(value string) Secret { return secret.New(value) }

// String hides what is inside; see [Handle.Reveal].
func (Handle) String() string { return hidden }

// GoString hides what is inside.
func (Handle) GoString() string { return hidden }

// MarshalText hides what is inside.
func (Handle) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Format hides what is inside, whatever the verb.
func (Handle) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, hidden) }

// Handle is what the holder of a grant presents: a lookup part, whose digest is
// the key in the store, and a secret part, without which the row stays shut.
//
// It stands behind two pointers: fmt follows one of a field when the verb is wrong.
type Handle struct{ at **parts }

// handleOf takes a copy.
func handleOf(p *parts) Handle {
	var whole struct { // allocated once
		to    *parts
		parts parts
	}
	whole.parts, whole.to = *p, &whole.parts
	whole.parts.key = p.digest()
	return Handle{&whole.to}
}

type parts struct {
	lookup [lookupSize]byte
	secret [secretSize]byte
	key    Key // of a handle
}

func (h Handle) parts() *parts {
	if h.at == nil {
		return new(parts)
	}
	return *h.at
}

const (
	lookupSize = 16
	secretSize = 32
	handleSize = (lookupSize + secretSize) / 3 * 4 // in base64url: no padding
)

// NewHandle draws a handle of 384 random bits.
func NewHandle() Handle {
	var h parts
	_, _ = rand.Read(h.lookup[:]) // never fails: crypto/rand ends the process first
	_, _ = rand.Read(h.secret[:])
	return handleOf(&h)
}

// ParseHandle reads what [Handle.Reveal] wrote with the same prefix. There is
// one spelling of each handle; anything else is none.
func ParseHandle(prefix, text string) (h Handle, ok bool) {
	body, ok := strings.CutPrefix(text, prefix)
	if !ok || len(body) != handleSize {
		return Handle{}, false
	}
	var raw [lookupSize + secretSize]byte
	var chars [handleSize]byte // on the stack, unlike []byte(body)
	copy(chars[:], body)
	// 48 bytes fill 64 characters exactly, so none has spare bits; line
	// breaks, which the decoder would skip, make it short.
	n, err := strict.Decode(raw[:], chars[:])
	if err != nil || n != len(raw) {
		return Handle{}, false
	}
	var p parts
	copy(p.lookup[:], raw[:])
	copy(p.secret[:], raw[lookupSize:])
	return handleOf(&p), true
}

// HandleLength is how many characters a handle has behind its prefix.
const HandleLength = handleSize

var strict = base64.RawURLEncoding.Strict()

// Reveal spells the handle for its holder: prefix, lookup, secret.
func (h Handle) Reveal(prefix string) string {
	p := h.parts()
	return prefix + base64.RawURLEncoding.EncodeToString(slices.Concat(p.lookup[:], p.secret[:]))
}

// Key names a row in a store. It says nothing of the handle.
type Key [sha256.Size]byte

// Key is a digest of the lookup part alone: the keyring has no part in it, so
// that a row is found after a rotation.
func (h Handle) Key() Key {
	if h.at == nil {
		return new(parts).digest()
	}
	return (*h.at).key
}

func (p *parts) digest() Key {
	var text [24 + lookupSize]byte
	copy(text[:24], "caddyoauth/session/key/1")
	copy(text[24:], p.lookup[:])
	return sha256.Sum256(text[:])
}
