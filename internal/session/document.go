package session

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"
)

// What is answered of a document.
var (
	ErrNoDocument      = errors.New("no such document")
	ErrDocumentChanged = errors.New("the document has changed meanwhile")
)

// Document reads a text that nodes share under a name, and its version: what the
// next change has to name. Who reads the store reads nothing of it.
func (v *Vault) Document(ctx context.Context, name string) (text []byte, version string, err error) {
	c := v.cfg.Load()
	key := documentKey(name)
	row, err := v.load(ctx, c, key)
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && row.Purpose != ForDocument:
		return nil, "", ErrNoDocument
	case err != nil:
		return nil, "", unavailable(0, "reading a document: %w", err)
	}
	if text, err = c.ring.openText(sealDocument, key[:], row.Sealed); err != nil {
		return nil, "", unavailable(0, "opening a document: %w", err)
	}
	return text, versionText(row.Version()), nil
}

// WriteDocument replaces a text if it is of this version still, or writes a new one
// where version is "". A store may forget it after until.
func (v *Vault) WriteDocument(ctx context.Context, name, version string, text []byte, until time.Time) (next string, err error) {
	c := v.cfg.Load()
	key, now := documentKey(name), c.o.Now()
	row := Row{Key: key, Generation: 1, Purpose: ForDocument, Created: now, LastUsed: now, Until: until}
	row.Intent.ID = NewID() // two writings of one generation are two
	if row.Sealed, err = c.ring.sealText(sealDocument, key[:], text); err != nil {
		return "", unavailable(0, "sealing a document: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.StoreTimeout)
	defer cancel()
	if version == "" {
		err = v.store.Create(ctx, row)
	} else {
		old := versionOf(version)
		row.Generation = old.Generation + 1
		err = v.store.CompareAndSwap(ctx, old, row)
	}
	switch {
	case errors.Is(err, ErrExists), errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		return "", ErrDocumentChanged
	case err != nil:
		return "", unavailable(0, "writing a document: %w", err)
	}
	return versionText(row.Version()), nil
}

// WatchDocument has told called soon after another node changed a document, where
// the store tells of changes, until stop is called. It must not block.
func (v *Vault) WatchDocument(name string, told func()) (stop func()) {
	key := documentKey(name)
	v.documents.Store(key, told)
	return func() { v.documents.Delete(key) }
}

// sealDocument is what a document is sealed for.
const sealDocument = "document"

func documentKey(name string) Key {
	return sha256.Sum256([]byte("caddyoauth/session/document/1\x00" + name))
}

func versionText(v Version) string {
	return string(append(binary.BigEndian.AppendUint64(nil, v.Generation), v.Intent[:]...))
}

func versionOf(text string) (v Version) {
	if len(text) == 8+len(v.Intent) {
		v.Generation = binary.BigEndian.Uint64([]byte(text))
		copy(v.Intent[:], text[8:])
	}
	return v
}
