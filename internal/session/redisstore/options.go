package redisstore

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// Options say where the servers are and how to speak to them.
type Options struct {
	// Address is host:port or the path of a socket: one server, or all the
	// sentinels with Sentinel.
	Address []string
	// Sentinel is the master's name there; empty: Address is the server itself.
	Sentinel string
	// Who we are at the sentinels.
	SentinelUsername string
	SentinelPassword secret.Text
	// Who we are at the servers.
	Username string
	Password secret.Text
	// TLS to servers and sentinels, or nil.
	TLS *tls.Config
	// Database and Prefix are where the rows are.
	Database int
	Prefix   string
	// Replicas that must have a write before it is a success.
	Replicas int
	// Timeout bounds a call; of it replicas may take half.
	Timeout time.Duration
	// Connections bounds those to the server; calls beyond wait for Timeout.
	Connections int
}

// equal reports whether a client made of the one does for the other.
func (o *Options) equal(other *Options) bool {
	return slices.Equal(o.Address, other.Address) && o.Sentinel == other.Sentinel &&
		o.SentinelUsername == other.SentinelUsername && o.SentinelPassword.Reveal() == other.SentinelPassword.Reveal() &&
		o.Username == other.Username && o.Password.Reveal() == other.Password.Reveal() && sameTrust(o.TLS, other.TLS) &&
		o.Database == other.Database && o.Prefix == other.Prefix &&
		o.Replicas == other.Replicas && o.Timeout == other.Timeout && o.Connections == other.Connections
}

func sameTrust(a, b *tls.Config) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.RootCAs == b.RootCAs || a.RootCAs != nil && b.RootCAs != nil && a.RootCAs.Equal(b.RootCAs)
}

func (o *Options) where() string {
	if o.Sentinel != "" {
		return "the sentinels " + strings.Join(o.Address, " ") + " for " + o.Sentinel
	}
	return strings.Join(o.Address, " ")
}

// link makes a client, which dials when it is used. The library tries nothing
// twice: a write that took effect would meet itself, and be told of a conflict.
func (o *Options) link() *link {
	l := &link{
		options: *o, replicas: o.Replicas, confirm: o.Timeout / 2,
		writing: make(chan struct{}, max(1, o.Connections/2)), replaced: make(chan struct{}),
	}
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if o.Sentinel == "" {
		network := "tcp"
		if strings.HasPrefix(o.Address[0], "/") {
			network = "unix"
		}
		l.client = redis.NewClient(&redis.Options{
			Network: network, Addr: o.Address[0], Username: o.Username, Password: o.Password.Reveal(), DB: o.Database,
			TLSConfig: o.TLS, Protocol: 2, DisableIdentity: true, MaintNotificationsConfig: quiet,
			MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
			DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, PoolTimeout: o.Timeout,
			PoolSize: o.Connections, PipelinePoolSize: -1, ConnMaxIdleTime: idleConnection,
		})
		return l
	}
	l.client = redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: o.Sentinel, SentinelAddrs: o.Address,
		SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword.Reveal(),
		Username: o.Username, Password: o.Password.Reveal(), DB: o.Database,
		Protocol: 2, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		Dialer: o.dial, DialTimeout: askingSentinels * o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, PoolTimeout: o.Timeout,
		PoolSize: o.Connections, PipelinePoolSize: -1, ConnMaxIdleTime: idleConnection,
	})
	return l
}

// askingSentinels is how many time-outs a connection may take to come about, in
// the background: the sentinel that was asked so far is silent, and silent again
// on a new connection, then all are asked, of whom the last is waited for, and
// then there is the master. Were it one, the first would use it up, and no other
// ever be asked. Who calls waits no longer for that.
const askingSentinels = 4

// dial is for servers and sentinels, each within the time-out.
func (o *Options) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: o.Timeout}
	if o.TLS == nil {
		return dialer.DialContext(ctx, network, address)
	}
	return (&tls.Dialer{NetDialer: dialer, Config: o.TLS}).DialContext(ctx, network, address)
}

// idleConnection is after how long a connection is given up that is not needed.
const idleConnection = 10 * time.Minute
