// Package redisstore is the module http.oauth.stores.redis: grants in Redis, or
// in what speaks its protocol, such as Valkey, for many nodes. Only a build that
// imports it has it.
package redisstore

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/redis/go-redis/v9"

	caddyoauth "github.com/caddyoauth/caddyoauth"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/session"
	rows "github.com/caddyoauth/caddyoauth/internal/session/redisstore"
)

func init() {
	caddy.RegisterModule(new(Store))
	redis.SetLogger(libraryLog{})
}

// Store keeps grants in Redis, for as many nodes as use the same place. It needs
// Redis 6.2 or newer. Nodes that share one must have the same keys, and the
// clocks of nodes and servers must agree to a second or so.
type Store struct {
	// Where the server is, as host:port or as the path of its socket. With
	// sentinel: where all the sentinels are.
	Address []string `json:"address,omitempty"`

	// What the sentinels call the master. Default: no sentinels.
	Sentinel string `json:"sentinel,omitempty"`

	// The ACL user and the password at the sentinels, if they want one. Default:
	// none.
	SentinelUsername string `json:"sentinel_username,omitempty"`
	SentinelPassword string `json:"sentinel_password,omitempty"`

	// The ACL user at the server. Default: Redis's own default user.
	Username string `json:"username,omitempty"`

	// The password at the server, best as {file.…} or {env.…}. Default: none.
	Password string `json:"password,omitempty"`

	// The number of the database. Default: 0.
	Database int `json:"database,omitempty"`

	// What the names of keys and of the channel begin with, in letters, digits
	// and "-_.:". Default: caddy-oauth.
	Prefix string `json:"prefix,omitempty"`

	// Speak TLS, to the sentinels too.
	TLS bool `json:"tls,omitempty"`

	// The certificate authorities trusted for that. Default: the system's.
	TrustPool json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	// How many replicas must have a write before it counts. With fewer, a
	// failover may undo what a node has acted on, and a refresh token may be
	// presented twice; while fewer answer, nothing is refreshed. Default: 1 with
	// sentinel, 0 otherwise.
	Replicas *int `json:"replicas,omitempty"`

	// How long a call may take; replicas may take half of it. Default: 2s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Connections to the server at most, from this node; half of them may wait
	// for replicas. Default: 32.
	Connections int `json:"connections,omitempty"`

	options rows.Options
}

const (
	defaultPrefix      = "caddy-oauth"
	defaultTimeout     = 2 * time.Second
	leastTimeout       = 100 * time.Millisecond
	mostTimeout        = 5 * time.Second // of all calls of a store
	defaultConnections = 32
	mostConnections    = 10_000
	mostReplicas       = 100
	mostDatabase       = 1 << 20
)

var prefixLetters = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,100}$`)

// CaddyModule names the module.
func (*Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.oauth.stores.redis", New: func() caddy.Module { return new(Store) }}
}

// Provision reads secrets and certificates, and dials no server.
func (s *Store) Provision(ctx caddy.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	o := rows.Options{Database: s.Database, Prefix: defaultPrefix, Timeout: defaultTimeout, Connections: defaultConnections}
	var err error
	var password, sentinelPassword string
	for _, word := range []struct {
		name, from string
		to         *string
	}{
		{"sentinel", s.Sentinel, &o.Sentinel}, {"sentinel_username", s.SentinelUsername, &o.SentinelUsername},
		{"sentinel_password", s.SentinelPassword, &sentinelPassword}, {"username", s.Username, &o.Username},
		{"password", s.Password, &password},
	} {
		if *word.to, err = replace(word.name, word.from); err != nil {
			return err
		}
	}
	o.Password, o.SentinelPassword = secret.New(password), secret.New(sentinelPassword)
	for _, text := range s.Address {
		if text, err = replace("address", text); err == nil {
			err = checkAddress(text)
		}
		if err != nil {
			return err
		}
		o.Address = append(o.Address, text)
	}
	slices.Sort(o.Address)
	if s.Prefix != "" {
		o.Prefix = s.Prefix
	}
	if s.Timeout != 0 {
		o.Timeout = time.Duration(s.Timeout)
	}
	if s.Connections != 0 {
		o.Connections = s.Connections
	}
	switch {
	case s.Replicas != nil:
		o.Replicas = *s.Replicas
	case s.Sentinel != "":
		o.Replicas = 1
	}
	o.TLS, err = s.trust(ctx)
	s.options = o
	return err
}

func (s *Store) trust(ctx caddy.Context) (*tls.Config, error) {
	if !s.TLS {
		return nil, nil //nolint:nilnil // nil is none
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.TrustPool == nil {
		return config, nil
	}
	module, err := ctx.LoadModule(s, "TrustPool")
	if err != nil {
		return nil, fmt.Errorf("store redis: trust_pool: %w", err)
	}
	config.RootCAs = module.(caddytls.CA).CertPool()
	return config, nil
}

// replace resolves placeholders. A file's last line break is none of a secret's.
func replace(word, text string) (string, error) {
	out, err := caddy.NewReplacer().ReplaceOrErr(text, true, true)
	if err != nil {
		return "", fmt.Errorf("store redis: %s: %w", word, err)
	}
	return strings.TrimRight(out, "\r\n"), nil
}

// check finds what is wrong without looking at placeholders or files.
func (s *Store) check() error {
	return prefixed(s.wrong())
}

func prefixed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store redis: %w", err)
}

func (s *Store) wrong() error {
	timeout := time.Duration(s.Timeout)
	switch {
	case len(s.Address) == 0 || slices.Contains(s.Address, ""):
		return errors.New("no address: write \"store redis <host:port>\"")
	case len(s.Address) > 1 && s.Sentinel == "":
		return errors.New("several addresses are those of sentinels: add \"sentinel <master>\"")
	case s.Sentinel == "" && (s.SentinelUsername != "" || s.SentinelPassword != ""):
		return errors.New("sentinel_username and sentinel_password are for sentinels, and there is no \"sentinel <master>\"")
	case s.Username != "" && s.Password == "", s.SentinelUsername != "" && s.SentinelPassword == "":
		return errors.New("a username without a password")
	case s.Database < 0 || s.Database > mostDatabase:
		return fmt.Errorf("database is %d; it takes the number of one", s.Database)
	case s.Prefix != "" && !prefixLetters.MatchString(s.Prefix):
		return fmt.Errorf("prefix is %q; it takes letters, digits and \"-_.:\", 100 at most", s.Prefix)
	case s.TrustPool != nil && !s.TLS:
		return errors.New("trust_pool is for tls, and there is none")
	case s.Replicas != nil && (*s.Replicas < 0 || *s.Replicas > mostReplicas):
		return fmt.Errorf("replicas is %d; it takes 0 to %d", *s.Replicas, mostReplicas)
	case s.Timeout != 0 && (timeout < leastTimeout || timeout > mostTimeout):
		return fmt.Errorf("timeout is %s; it takes %s to %s", timeout, leastTimeout, mostTimeout)
	case s.Connections != 0 && (s.Connections < 4 || s.Connections > mostConnections):
		return fmt.Errorf("connections is %d; it takes 4 to %d", s.Connections, mostConnections)
	}
	for _, address := range s.Address {
		if !strings.Contains(address, "{") {
			if err := checkAddress(address); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkAddress(text string) error {
	if strings.HasPrefix(text, "/") {
		return nil
	}
	if host, port, err := net.SplitHostPort(text); err != nil || host == "" || port == "" {
		return fmt.Errorf("the address %q is not host:port, nor the path of a socket", text)
	}
	return nil
}

// Identity is the place: addresses, database and prefix.
func (s *Store) Identity() string {
	o := &s.options
	return strings.TrimSpace(fmt.Sprintf("redis %s %s", strings.Join(o.Address, ","), o.Sentinel)) + fmt.Sprintf(" %d %s", o.Database, o.Prefix)
}

// Shared is true.
func (*Store) Shared() bool { return true }

// Open asks the server whether it is there.
func (s *Store) Open(ctx context.Context) (session.Store, func() error, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.options.Timeout)
	defer cancel()
	store, err := rows.Open(ctx, s.options)
	if err != nil {
		return nil, nil, err
	}
	return store, store.Close, nil
}

// Examine looks at the servers as the store would use them: each right of the
// user, master or replica, maxmemory-policy, version, disk and clock. It leaves
// nothing behind.
func (s *Store) Examine(ctx context.Context) []session.Finding {
	return rows.Examine(ctx, s.options, time.Now)
}

// Apply lets a store that is open take these options.
func (s *Store) Apply(open session.Store) {
	if store, ours := open.(*rows.Store); ours {
		store.Apply(s.options)
	}
}

// Interface guards
var (
	_ caddy.Provisioner      = (*Store)(nil)
	_ caddyoauth.Store       = (*Store)(nil)
	_ caddyoauth.OpenApplier = (*Store)(nil)
	_ caddyoauth.Examiner    = (*Store)(nil)
)
