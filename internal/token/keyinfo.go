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
	Plain      bool     // of RSA without an alg: metadata or configuration say what it is for
	Print      string   // the same for the same key under the same kid and alg, in any document
}

// Infos tells of each key in the set, in its order, where no algorithms are
// configured. A nil set has none.
func (s *KeySet) Infos() []KeyInfo { return s.InfosFor(allNames | unnamed) }

// InfosFor does it where these are.
func (s *KeySet) InfosFor(configured Algorithms) []KeyInfo {
	if s == nil {
		return nil
	}
	all := make([]KeyInfo, len(s.keys))
	for i, key := range s.keys {
		all[i] = s.info(key, configured)
	}
	return all
}

func (s *KeySet) info(k *Key, configured Algorithms) KeyInfo {
	info := KeyInfo{ID: clip(k.ID), Type: k.kty, Curve: k.crv, Plain: k.plainRSA(), Print: hex.EncodeToString(k.print[:8])}
	if public, ok := k.public.(*rsa.PublicKey); ok {
		info.Bits = public.N.BitLen()
	}
	for name := range algorithms {
		if name != "Ed25519" && s.takes(k, name, configured) {
			info.Algorithms = append(info.Algorithms, name)
		}
	}
	slices.Sort(info.Algorithms)
	return info
}

// Fits reports whether some algorithm of the set may use the key.
func (a Algorithms) Fits(key KeyInfo) bool { return slices.ContainsFunc(key.Algorithms, a.has) }
