package doctor

import (
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// checkPlainKeys looks at RSA keys without an alg of their own: what they are
// for is said by algorithms, or else by the metadata, or else it is RS256. Where
// the issuer signs with another, its tokens are refused as key_mismatch.
func (d *doctor) checkPlainKeys(t target, keys []token.KeyInfo, ends *as.Endpoints) {
	plain := slices.DeleteFunc(slices.Clone(keys), func(key token.KeyInfo) bool { return !key.Plain })
	if len(plain) == 0 {
		return
	}
	taken := plain[0].Algorithms // the same for each
	var said []string            // by the issuer
	if ends != nil {
		said = slices.DeleteFunc(slices.Clone(ends.SigningAlgorithms), func(alg string) bool {
			return !strings.HasPrefix(alg, "RS") && !strings.HasPrefix(alg, "PS")
		})
	}
	names, isFor := keyNames(plain), strings.Join(taken, " ")
	switch {
	case len(t.issuer.Algorithms) > 0 && len(said) > 0 && !slices.ContainsFunc(said, func(alg string) bool { return slices.Contains(taken, alg) }):
		d.say(t.url, checkAlgorithms, resultWarn, "name in algorithms what the issuer signs access tokens with, or nothing",
			"RSA keys without an alg are for what algorithms names, and the metadata name %s: %s", strings.Join(said, " "), names)
	case len(t.issuer.Algorithms) > 0:
	case len(said) == 0:
		d.say(t.url, checkAlgorithms, resultWarn, "nothing, if the issuer signs access tokens with "+isFor+"; else name its algorithm in algorithms",
			"RSA keys without an alg, of which neither algorithms nor the metadata say what they are for, are for %s alone: %s", isFor, names)
	case len(taken) > 1:
		d.say(t.url, checkAlgorithms, resultWarn, "name in algorithms the one that the issuer signs access tokens with: a key is for one algorithm (RFC 8725 §3.1)",
			"RSA keys without an alg are for all that the metadata name: %s", names)
	}
}
