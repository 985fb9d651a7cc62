// Package revocation is the list of what was taken back, as a gateway keeps it: the
// revocation block, one list for the sites of each store of grants, and the
// endpoint where an issuer takes back all that it granted to a user.
package revocation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
)

// Revocation says how the gateway remembers what was taken back. The list is kept
// in the session's store, and on every node; without session, token_endpoint or
// login in this process alone.
type Revocation struct {
	// How long something is remembered that was taken back: longer than any
	// access token lives. One that lives longer would count again. Default: 24h.
	Keep caddy.Duration `json:"keep,omitempty"`

	// How many entries the list may have, 1 to 1000000. Those beyond are refused:
	// none is forgotten for another. Of sites that share a store the largest
	// counts. Default: 100000.
	Entries int `json:"entries,omitempty"`

	// What happens to requests while the list was never read, since the store has
	// not answered since this process began: "refuse" answers 503, "pass" judges
	// them without it, so that what was taken back is let in until the store
	// answers. A list that was read once counts on through an outage. Default:
	// refuse.
	Unread string `json:"unread,omitempty"`

	// The path of an endpoint where all that a user was granted can be taken back
	// (Global Token Revocation). It needs secret, scope or jwt_audience. Default:
	// none.
	Endpoint string `json:"endpoint,omitempty"`

	// What callers of the endpoint send as Bearer token, at least 32 characters,
	// best as {file.…} or {env.…}. They take back what the first issuer granted.
	Secret string `json:"secret,omitempty"`

	// Scope that an access token of an issuer needs at the endpoint. It takes back
	// what its own issuer granted.
	Scope []string `json:"scope,omitempty"`

	// What the endpoint's callers call it: its URL. A JWT with one of these in aud,
	// signed by an issuer for this alone (typ global-token-revocation+jwt), takes
	// back what that issuer granted. Okta's Universal Logout sends such ones.
	// Default: none are taken.
	JWTAudience []string `json:"jwt_audience,omitempty"`

	// A user whom a caller of the endpoint names by e-mail address is the sub of the
	// same text. Okta names users so by default, and its custom authorization
	// servers write the log-in's name as sub. Where users may choose either, one
	// could have another logged out. Default: users are named by their sub alone.
	EmailAsSub bool `json:"email_as_sub,omitempty"`

	secret string // ready
}

// The bounds of the block.
const (
	defaultKeep = 24 * time.Hour
	mostKeep    = 366 * 24 * time.Hour
	mostEntries = 1_000_000
	leastSecret = 32
)

// The values of unread.
const (
	unreadPass   = "pass"
	unreadRefuse = "refuse"
)

// Check finds what is wrong with the block itself.
func (b *Revocation) Check() error {
	switch {
	case b == nil:
		return nil
	case b.Keep < 0 || time.Duration(b.Keep) > mostKeep:
		return fmt.Errorf("revocation: keep is %s; it takes a duration above zero, %s at most", time.Duration(b.Keep), mostKeep)
	case b.Entries < 0 || b.Entries > mostEntries:
		return fmt.Errorf("revocation: entries is %d; it takes a number of entries, 1 to %d", b.Entries, mostEntries)
	case b.Unread != "" && b.Unread != unreadPass && b.Unread != unreadRefuse:
		return fmt.Errorf("revocation: unread is %q; it takes pass or refuse", b.Unread)
	}
	return b.checkEndpoint()
}

func (b *Revocation) checkEndpoint() error {
	named := b.Secret != "" || len(b.Scope) > 0 || len(b.JWTAudience) > 0
	switch {
	case b.Endpoint == "" && (named || b.EmailAsSub):
		return errors.New("revocation: secret, scope, jwt_audience and email_as_sub are for an endpoint, and there is none: write endpoint <path>")
	case b.Endpoint == "":
		return nil
	case !strings.HasPrefix(b.Endpoint, "/") || strings.ContainsAny(b.Endpoint, "*?#{} ") || b.Endpoint == "/":
		return fmt.Errorf("revocation: endpoint is %q; it takes one path, such as /global_token_revocation", b.Endpoint)
	case !named:
		return errors.New("revocation: endpoint needs secret, scope or jwt_audience: who may log everybody out has to be known")
	case slices.Contains(b.JWTAudience, ""):
		return errors.New("revocation: an empty jwt_audience")
	}
	for _, word := range b.Scope {
		if strings.ContainsAny(word, " \"\\") {
			return fmt.Errorf("revocation: scope %q is not one scope word", word)
		}
	}
	return nil
}

// Provision reads the secret.
func (b *Revocation) Provision(repl *caddy.Replacer) (err error) {
	if b == nil || b.Secret == "" {
		return nil
	}
	if b.secret, err = grammar.Resolve(repl, "revocation: secret", b.Secret); err != nil {
		return err
	}
	if b.secret = strings.TrimSpace(b.secret); len(b.secret) < leastSecret {
		return fmt.Errorf(`revocation: secret has %d characters, at least %d are needed: take the output of "openssl rand -base64 32"`, len(b.secret), leastSecret)
	}
	return nil
}

// Paths are those that the gateway answers itself.
func (b *Revocation) Paths() []string {
	if b == nil || b.Endpoint == "" {
		return nil
	}
	return []string{b.Endpoint}
}

func (b *Revocation) keep() time.Duration {
	if b == nil || b.Keep == 0 {
		return defaultKeep
	}
	return time.Duration(b.Keep)
}

func (b *Revocation) entries() int {
	if b == nil || b.Entries == 0 {
		return revoked.DefaultMost
	}
	return b.Entries
}

func (b *Revocation) refusesUnread() bool { return b == nil || b.Unread != unreadPass }
