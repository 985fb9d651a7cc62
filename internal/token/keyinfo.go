package token

import (
	"crypto/rsa"
	"encoding/hex"
	"slices"
)

// KeyInfo is what may be told of a key to an operator.
type KeyInfo struct {
	ID         string   // kid, or ""
	Type       string   // kty
	Curve      string   // crv, or ""
	Bits       int      // of an RSA modulus, else 0
	Algorithms []string // that it may verify, sorted; EdDSA also stands for Ed25519
	Print      string   // the same for the same key under the same kid and alg, in any document
}

// Infos tells of each key in the set, in its order. A nil set has none.
func (s *KeySet) Infos() []KeyInfo {
	if s == nil {
		return nil
	}
	all := make([]KeyInfo, len(s.keys))
	for i, key := range s.keys {
		all[i] = key.info()
	}
	return all
}

func (k *Key) info() KeyInfo {
	info := KeyInfo{ID: clip(k.ID), Type: k.kty, Curve: k.crv, Print: hex.EncodeToString(k.print[:8])}
	if public, ok := k.public.(*rsa.PublicKey); ok {
		info.Bits = public.N.BitLen()
	}
	for name := range algorithms {
		if name != "Ed25519" && k.fits(name) {
			info.Algorithms = append(info.Algorithms, name)
		}
	}
	slices.Sort(info.Algorithms)
	return info
}

// Fits tells whether some algorithm of the set may use the key.
func (a Algorithms) Fits(key KeyInfo) bool { return slices.ContainsFunc(key.Algorithms, a.has) }
