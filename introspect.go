package caddyoauth

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/as"
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

const (
	mostRemembered = time.Minute // the longest that an answer counts
	defaultRate    = 100
	mostRate       = 100_000
)

const introspectWords = "always, cache, rate, insecure_any_token"

// check finds what is wrong without looking at placeholders.
func (n *Introspect) check() error {
	switch {
	case n.Cache != nil && (*n.Cache < 0 || time.Duration(*n.Cache) > mostRemembered):
		return fmt.Errorf("introspect: cache is %s; it takes 0s to 60s", time.Duration(*n.Cache))
	case n.Rate < 0 || n.Rate > mostRate:
		return fmt.Errorf("introspect: rate is %d; it takes calls per second, 1 to %d", n.Rate, mostRate)
	}
	return nil
}

// checkIntrospect looks at what an issuer needs for being asked.
func (i *Issuer) checkIntrospect() error {
	switch n := i.Introspect; {
	case n == nil:
		return nil
	case i.Client == nil:
		return errors.New(`introspect needs a client: the endpoint answers nobody who does not prove who he is (RFC 7662 §2.1). Write "client <id> <secret>" in the issuer block`)
	case len(i.URL) > 1:
		return errors.New("introspect is for one issuer, and not for several URLs: a token of one would be shown to another. Use a block for each")
	case i.JWKS != "" && n.URL == "":
		return errors.New(`introspect needs a URL with jwks: without metadata nobody can tell where the endpoint is. Write "introspect <url>"`)
	case n.InsecureAnyToken && !i.InsecureAnyAudience:
		return errors.New("introspect: insecure_any_token has a use with insecure_any_audience alone: where there is an audience, what the answer has to name is that. Leave it out")
	default:
		return n.check()
	}
}

// wantsType tells whether an answer has to say what an opaque token is. An
// audience tells access tokens of this API from all else. Where none is asked
// for, a refresh token passed, and reached the upstream, at issuers whose
// answers are alike for both kinds.
func (i *Issuer) wantsType() bool { return i.InsecureAnyAudience && !i.Introspect.InsecureAnyToken }

// checkOneIntrospect keeps an opaque token from being shown to issuers that it
// is not of: nothing in it tells whose it is.
func (c *Config) checkOneIntrospect() error {
	var asked []string
	for _, issuer := range c.Issuer {
		if issuer.Introspect != nil {
			asked = append(asked, strings.Join(issuer.URL, " "))
		}
	}
	if len(asked) > 1 {
		return fmt.Errorf("introspect stands in the blocks of %s: it can stand in one, since nothing in an opaque token tells whose it is, and no issuer may see another's tokens. Give the other one a site of its own", strings.Join(asked, " and "))
	}
	return nil
}

// resolve is the endpoint with its placeholders replaced.
func (n *Introspect) resolve(repl *caddy.Replacer, allowHTTP bool) (string, error) {
	endpoint, err := grammar.Resolve(repl, "introspect", n.URL)
	if err != nil || endpoint == "" {
		return "", err
	}
	if err := as.CheckURL(endpoint, allowHTTP); err != nil {
		return "", fmt.Errorf("introspect: %w", err)
	}
	return endpoint, nil
}

func (n *Introspect) remember() time.Duration {
	if n.Cache == nil {
		return mostRemembered
	}
	return time.Duration(*n.Cache)
}

func (n *Introspect) rate() int {
	if n.Rate == 0 {
		return defaultRate
	}
	return n.Rate
}

// mark tells whether answers mean the same in two configurations, beside the
// issuer itself: what was said to one client, at one address, counts for no
// other.
func (n *Introspect) mark(endpoint string, client *as.Client, entries int, wantsType bool) string {
	all, err := json.Marshal([]any{endpoint, n.Always, n.remember(), n.rate(), entries, client.Print(), wantsType})
	if err != nil {
		panic("caddyoauth: a fingerprint that cannot be encoded: " + err.Error())
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:16])
}

// parseIntrospect reads:
//
//	introspect [<url>] {
//		always
//		cache <duration>
//		rate  <n>
//		insecure_any_token
//	}
func (i *Issuer) parseIntrospect(d *caddyfile.Dispenser, seen grammar.Once) error {
	if err := seen.First(d); err != nil {
		return err
	}
	line, n := d.Token(), new(Introspect)
	switch args := d.RemainingArgs(); {
	case len(args) > 1 || len(args) == 1 && args[0] == "":
		return d.Errf("introspect takes the URL of the endpoint, or none: introspect [<url>]")
	case len(args) == 1:
		n.URL = args[0]
	}
	inner := make(grammar.Once)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := n.parseWord(d, inner); err != nil {
			return err
		}
	}
	i.Introspect = n
	return grammar.At(line, n.check())
}

func (n *Introspect) parseWord(d *caddyfile.Dispenser, seen grammar.Once) error {
	var text string
	switch word := d.Val(); word {
	case "always":
		return seen.Flag(d, &n.Always)
	case "insecure_any_token":
		return seen.Flag(d, &n.InsecureAnyToken)
	case "cache":
		if err := seen.Text(d, &text); err != nil {
			return err
		}
		cache, err := caddy.ParseDuration(text)
		if err != nil || cache < 0 || cache > mostRemembered {
			return d.Errf("cache is %q; in introspect it takes a duration from 0s to 60s", text)
		}
		n.Cache = (*caddy.Duration)(&cache)
	case "rate":
		if err := seen.Text(d, &text); err != nil {
			return err
		}
		rate, err := strconv.Atoi(text)
		if err != nil || rate < 1 || rate > mostRate {
			return d.Errf("rate is %q; it takes calls per second, 1 to %d", text, mostRate)
		}
		n.Rate = rate
	default:
		return d.Errf("unknown word %q in introspect; it takes %s", word, introspectWords)
	}
	return nil
}
