package grants

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/stores"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// Session says how the gateway keeps what authorization servers granted, and
// when it refreshes. Durations that are left out get their defaults.
type Session struct {
	// Where grants are kept. Default: bolt, a file in Caddy's data directory.
	Store json.RawMessage `json:"store,omitempty" caddy:"namespace=http.oauth.stores inline_key=module"`

	// A grant that is not used for so long ends. Default: 1h.
	Idle caddy.Duration `json:"idle,omitempty"`

	// A grant ends after so long, however much it is used. Default: 12h.
	Max caddy.Duration `json:"max,omitempty"`

	// Keys that seal the grants, each of at least 32 characters, best as
	// {file.…} or {env.…}. The first one seals, the others open what they
	// sealed. Default: a key that is made and kept in Caddy's storage.
	Keys []string `json:"keys,omitempty"`

	// An access token with less life left is refreshed in the background.
	// Default: 60s, and at most 20 % of its lifetime.
	RefreshAhead caddy.Duration `json:"refresh_ahead,omitempty"`

	// The pause after a refresh, whatever the new token's life. Default: 10s,
	// and at most 25 % of its lifetime.
	MinRefreshInterval caddy.Duration `json:"min_refresh_interval,omitempty"`

	// How long the issuer's token endpoint may take. Default: 8s.
	TokenTimeout caddy.Duration `json:"token_timeout,omitempty"`

	// How long other nodes leave a refresh alone that this one began. It must
	// exceed token_timeout by at least a second. Default: 20s.
	Lease caddy.Duration `json:"lease,omitempty"`

	// How long a request waits for a refresh. Default: 10s.
	RefreshWait caddy.Duration `json:"refresh_wait,omitempty"`

	// How long the issuer takes a refresh token again after it has rotated it
	// (a setting of the issuer). Declaring what it does not do costs grants.
	// Default: 0.
	ReuseGrace caddy.Duration `json:"reuse_grace,omitempty"`

	// How many live grants one client may have that acts for itself. Those beyond
	// are refused with 429. Default: 100000.
	GrantsPerClient int `json:"grants_per_client,omitempty"`

	// How many live grants one user may have, a browser's sessions included.
	// Those beyond are refused with 429. Default: 1000.
	GrantsPerSubject int `json:"grants_per_subject,omitempty"`

	// What happens at the access token's end when a refresh token may have
	// been consumed by a refresh whose answer was lost: "retry" presents it
	// once more, and on with pauses until there is an answer; "reauth" ends
	// the grant. Default: retry.
	OnUncertain string `json:"on_uncertain,omitempty"`

	// keys and store, ready.
	secrets [][]byte
	store   stores.Store
}

// The bounds of the block: bytes of a key, times, and grants.
const (
	MinKeyLength = 32
	tokenTimeout = 8 * time.Second
	mostTimeout  = time.Minute
	MostGrants   = 100_000_000
)

// The values of on_uncertain.
var onUncertain = map[string]session.OnUncertain{"": session.Retry, "retry": session.Retry, "reauth": session.Reauth}

type (
	durationWord struct {
		word string
		at   *caddy.Duration
	}
	numberWord struct {
		word string
		at   *int
	}
)

// durations lists what stands under a word, for everything that treats all
// durations alike.
func (s *Session) durations() []durationWord {
	return []durationWord{
		{"idle", &s.Idle}, {"max", &s.Max}, {"refresh_ahead", &s.RefreshAhead},
		{"min_refresh_interval", &s.MinRefreshInterval}, {"token_timeout", &s.TokenTimeout},
		{"lease", &s.Lease}, {"refresh_wait", &s.RefreshWait}, {"reuse_grace", &s.ReuseGrace},
	}
}

// numbers lists those that stand under a word.
func (s *Session) numbers() []numberWord {
	return []numberWord{{"grants_per_client", &s.GrantsPerClient}, {"grants_per_subject", &s.GrantsPerSubject}}
}

// Check finds what is wrong with the block itself.
func (s *Session) Check() error {
	for _, n := range s.numbers() {
		if *n.at < 0 || *n.at > MostGrants {
			return fmt.Errorf("session: %s is %d; it takes a number of grants, 1 to %d", n.word, *n.at, MostGrants)
		}
	}
	for _, d := range s.durations() {
		if *d.at < 0 {
			return fmt.Errorf("session: %s is %s; it takes a duration above zero", d.word, time.Duration(*d.at))
		}
	}
	if time.Duration(s.TokenTimeout) > mostTimeout {
		return fmt.Errorf("session: token_timeout is %s; it takes %s at most", time.Duration(s.TokenTimeout), mostTimeout)
	}
	if _, known := onUncertain[s.OnUncertain]; !known {
		return fmt.Errorf("session: on_uncertain is %q; it takes retry or reauth", s.OnUncertain)
	}
	if err := session.CheckOptions(s.options()); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return nil
}

func (s *Session) options() session.Options {
	return session.Options{
		RefreshAhead: time.Duration(s.RefreshAhead), MinRefreshInterval: time.Duration(s.MinRefreshInterval),
		TokenTimeout: time.Duration(s.TokenTimeout), Lease: time.Duration(s.Lease),
		RefreshWait: time.Duration(s.RefreshWait), ReuseGrace: time.Duration(s.ReuseGrace),
		OnUncertain: onUncertain[s.OnUncertain], Idle: time.Duration(s.Idle), Max: time.Duration(s.Max),
		GrantsPerClient: s.GrantsPerClient, GrantsPerSubject: s.GrantsPerSubject, Authority: renewedAt, Asker: renewedAs,
	}
}

// provision reads the keys, and makes the store, which stays closed.
func (s *Session) provision(ctx caddy.Context, repl *caddy.Replacer) (err error) {
	if s.secrets, err = s.readKeys(repl); err != nil {
		return err
	}
	if s.store, err = s.LoadStore(ctx); err != nil {
		return fmt.Errorf("session: store: %w", err)
	}
	return s.CheckKeysFor(s.store)
}

// LoadStore makes the store, which stays closed. It takes the words of Store, as
// Caddy does with each module that it loads.
func (s *Session) LoadStore(ctx caddy.Context) (stores.Store, error) {
	if s.Store == nil {
		bolt := new(stores.BoltStore)
		return bolt, bolt.Provision(ctx)
	}
	module, err := ctx.LoadModule(s, "Store")
	if err != nil {
		return nil, err
	}
	store, ok := module.(stores.Store)
	if !ok {
		return nil, stores.ErrNoStoreModule
	}
	return store, nil
}

// CheckKeys finds keys that are not there, or too short.
func (s *Session) CheckKeys(repl *caddy.Replacer) error {
	_, err := s.readKeys(repl)
	return err
}

func (s *Session) readKeys(repl *caddy.Replacer) (keys [][]byte, err error) {
	for n, key := range s.Keys {
		text, err := grammar.Resolve(repl, "session: keys", key)
		if err != nil {
			return nil, err
		}
		text = strings.TrimSpace(text) // a file's last line break
		if len(text) < MinKeyLength {
			return nil, fmt.Errorf("session: key %d has %d characters, at least %d are needed: take the output of \"openssl rand -base64 32\"", n+1, len(text), MinKeyLength)
		}
		keys = append(keys, []byte(text))
	}
	return keys, nil
}

// CheckKeysFor finds that a store needs keys that are not there.
func (s *Session) CheckKeysFor(store stores.Store) error {
	if store.Shared() && len(s.Keys) == 0 {
		return errors.New("session: a store that many nodes share needs keys {file.…}: each node would make its own")
	}
	return nil
}
