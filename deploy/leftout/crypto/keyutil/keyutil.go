// Package keyutil stands in for keys of an authority.
package keyutil

import (
	"crypto"
	"errors"
)

// GenerateDefaultSigner makes none.
func GenerateDefaultSigner() (crypto.Signer, error) {
	return nil, errors.New("this build issues no certificates of its own (pki, tls internal)")
}
