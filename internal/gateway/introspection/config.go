package introspection

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
)

// Introspect is how an issuer is asked about its tokens (RFC 7662): about
// opaque ones, which only it can read. It needs a client.
type Introspect struct {
	// The introspection endpoint. Default: the one in the issuer's metadata.
	URL string `json:"url,omitempty"`

	// Ask about JWTs as well, after their signature was verified: then a token
	// that was revoked at the issuer is refused, as soon as cache lets go of
	// it. Default: opaque tokens alone.
	Always bool `json:"always,omitempty"`

	// Ask about JWTs as well, after their signature was verified, and let the
	// answer say what they lack: sub, aud, scope, roles and all other claims
	// (Keycloak's lightweight access tokens). What both name is as the answer has
	// it; but such a token lives no longer than it says itself, and is of the same
	// issuer and subject. Default: an answer adds nothing to a JWT.
	Lightweight bool `json:"lightweight,omitempty"`

	// What the issuer's opaque tokens begin with (ghp_, say). Others are not shown
	// to it, and these to no other issuer. Default: whatever has no prefix of
	// another issuer.
	TokenPrefix []string `json:"token_prefix,omitempty"`

	// Where several issuers without token_prefix have opaque tokens: ask them one
	// after the other, in the order of their blocks, until one calls the token
	// active. Nothing in such a token tells whose it is, so each may be shown tokens
	// of the others, and could use them. Default: only one can be asked.
	InOrder bool `json:"in_order,omitempty"`

	// Ask for answers that are signed (RFC 9701), and take no others: they prove
	// who made them, whatever is between the issuer and the gateway. The issuer
	// has to be told so for the client (introspection_signed_response_alg).
	// Default: plain JSON.
	JWTResponse bool `json:"jwt_response,omitempty"`

	// How long an answer counts before the issuer is asked again, and so how
	// long a revoked token may pass. At most 60s, and never beyond the token's
	// expiry. 0 asks for each request. Default: 60s.
	Cache *caddy.Duration `json:"cache,omitempty"`

	// How often the issuer is asked, in calls per second; no remote address
	// gets more than half of them. Requests beyond that are answered with 503,
	// while tokens that are remembered keep passing. Default: 100.
	Rate int `json:"rate,omitempty"`

	// With insecure_any_audience, take opaque tokens of which the answer does not
	// say what they are, either: refresh tokens pass as access tokens then, for
	// as long as they live.
	InsecureAnyToken bool `json:"insecure_any_token,omitempty"`
}

// The bounds of cache and rate.
const (
	LongestCache = time.Minute
	DefaultRate  = 100 // calls per second
	MostRate     = 100_000
	mostPrefixes = 16
	mostPrefix   = 64 // bytes
)

// Check finds what is wrong without looking at placeholders.
func (n *Introspect) Check() error {
	switch {
	case n.Cache != nil && (*n.Cache < 0 || time.Duration(*n.Cache) > LongestCache):
		return fmt.Errorf("introspect: cache is %s; it takes 0s to 60s", time.Duration(*n.Cache))
	case n.Rate < 0 || n.Rate > MostRate:
		return fmt.Errorf("introspect: rate is %d; it takes calls per second, 1 to %d", n.Rate, MostRate)
	case len(n.TokenPrefix) > mostPrefixes:
		return fmt.Errorf("introspect: token_prefix has %d texts; it takes up to %d", len(n.TokenPrefix), mostPrefixes)
	case len(n.TokenPrefix) > 0 && n.InOrder:
		return errors.New("introspect: token_prefix and in_order exclude each other: one says whose a token is, the other that nothing does. Leave one out")
	}
	for i, text := range n.TokenPrefix {
		if err := checkPrefix(text); err != nil {
			return err
		}
		if slices.Contains(n.TokenPrefix[:i], text) {
			return fmt.Errorf("introspect: token_prefix %s is there twice", text)
		}
	}
	return nil
}

func checkPrefix(text string) error {
	switch {
	case len(text) > mostPrefix || !credential.IsToken68(text) || strings.HasSuffix(text, "="):
		return fmt.Errorf("introspect: token_prefix is %q; it takes what tokens begin with: 1 to %d letters, digits and -._~+/", text, mostPrefix)
	case isOwn(text):
		return fmt.Errorf("introspect: token_prefix is %q, which is how the gateway's own tokens begin: no issuer is asked about those", text)
	}
	return nil
}

// Resolve is the endpoint with its placeholders replaced.
func (n *Introspect) Resolve(repl *caddy.Replacer, allowHTTP bool) (string, error) {
	endpoint, err := grammar.Resolve(repl, "introspect", n.URL)
	if err != nil || endpoint == "" {
		return "", err
	}
	if err := as.CheckURL(endpoint, allowHTTP); err != nil {
		return "", fmt.Errorf("introspect: %w", err)
	}
	return endpoint, nil
}

// AboutJWTs reports whether the issuer is asked about JWTs, too.
func (n *Introspect) AboutJWTs() bool { return n.Always || n.Lightweight }

func (n *Introspect) remember() time.Duration {
	if n.Cache == nil {
		return LongestCache
	}
	return time.Duration(*n.Cache)
}

func (n *Introspect) rate() int {
	if n.Rate == 0 {
		return DefaultRate
	}
	return n.Rate
}

// mark is the same where answers mean the same in two configurations, beside
// the issuer itself: what was said to one client, at one address, counts for no
// other.
func (n *Introspect) mark(set Settings) string {
	all, err := json.Marshal([]any{set.Endpoint, n.Always, n.Lightweight, n.JWTResponse, n.remember(), n.rate(), set.Entries, set.Client.Print(), set.WantsType, set.ByClient})
	if err != nil {
		panic("caddyoauth: a fingerprint that cannot be encoded: " + err.Error())
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:16])
}
