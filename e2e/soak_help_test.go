package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soak is three gateways on a Redis with a sentinel, under load, while things go
// wrong. Everything that is drawn is drawn from the seed.
type soak struct {
	t       *testing.T
	seed    uint64
	length  time.Duration
	issuer  *granter
	sender  *transmitter
	redis   *failover
	nodes   []*soakNode
	up      *streamingUpstream
	browser *http.Client // at the issuer

	mishaps  mishaps
	ctx      context.Context // ends with the load
	stop     context.CancelFunc
	failures atomic.Int32
	answers  counts
	seen     measures

	mu    sync.Mutex
	slots []*enduring
	late  []*enduring // the last ones that were taken back
	names int
}

// soakNode is one of the gateways.
type soakNode struct {
	*gateway
	number int
	client *http.Client
	busy   sync.Mutex // one thing at a time is done to it
}

const (
	listKeeps = 3 * time.Minute  // what was taken back: longer than any access token lives
	leaseOf   = 10 * time.Second // of a refresh, after which another node may take over
	lineMost  = 8                // connections of a node to Redis
)

func startSoak(t *testing.T, seed uint64, length time.Duration) *soak {
	t.Helper()
	s := &soak{t: t, seed: seed, length: length, redis: startFailover(t), sender: startTransmitter(t)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	t.Cleanup(s.stop)
	s.issuer = startGranter(t, s.drawing("issuer"))
	s.up = startStreaming(t)
	s.sender.mute = true // what is watched here is what it sends
	s.browser = newClient(time.Minute)
	for i := range 3 {
		n := &soakNode{gateway: newGateway(t), number: i}
		n.client, _ = newHandover(time.Minute)
		s.nodes = append(s.nodes, n)
		if err := os.WriteFile(n.config, []byte(s.words(n)), 0o600); err != nil {
			t.Fatal(err)
		}
		n.start()
	}
	return s
}

// drawing is a source of chance of one part: parts run beside each other, and one
// must not take what another would have drawn.
func (s *soak) drawing(part string) *rand.Rand {
	var sum uint64
	for _, c := range part {
		sum = sum*131 + uint64(c)
	}
	return rand.New(rand.NewPCG(s.seed, sum))
}

// words are a node's configuration. Open connections outlive each reload.
func (s *soak) words(n *soakNode) string {
	return fmt.Sprintf(`{
	admin %s
	http_port %d
	https_port %d
	auto_https off
	storage file_system {
		root %s
	}
	log {
		format json
		level WARN
	}
	metrics
}
http://127.0.0.1:%d {
	oauth {
		issuer %s {
			audience %s
			client gateway %s
			%s
		}
		session {
			store redis %s {
				sentinel %s
				connections %d
			}
			keys 0123456789abcdef0123456789abcdef
			reuse_grace %s
			token_timeout %s
			lease %s
			refresh_wait 12s
			max 24h
			idle 12h
		}
		token_endpoint /token {
			grant_types client_credentials refresh_token authorization_code
			public_clients app
			revocation_endpoint /revoke
		}
		login {
			scope offline_access orders:read
		}
		revocation {
			keep %s
			unread refuse
		}
		copy_claims sub>X-User-Id
	}
	reverse_proxy %s {
		stream_close_delay 24h
		transport http {
			dial_timeout 30s
		}
	}
}
`, n.admin, n.open, n.tlsPort, n.storage, n.port, s.issuer.url, audience, s.issuer.secret, s.sender.words(pushWords),
		s.redis.sentinel.address(), masterName, lineMost, granterGrace/2, leaseOf-2*time.Second, leaseOf, listKeeps, s.up.address())
}

// failf notes what must not be. Of what goes on going wrong the first ones are enough.
func (s *soak) failf(format string, args ...any) {
	switch n := s.failures.Add(1); {
	case n > enough:
	case n == enough:
		s.t.Errorf("seed %d: and so on; this is the end", s.seed)
		s.stop()
	default:
		s.t.Errorf("seed %d: "+format, append([]any{s.seed}, args...)...)
	}
}

const enough = 20

// watch notices a node that ends by itself.
func (s *soak) watch() (wait func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for s.pause(200 * time.Millisecond) {
			for _, n := range s.nodes {
				if !n.busy.TryLock() {
					continue
				}
				select {
				case <-n.proc.done:
					s.failf("node %d has ended by itself", n.number)
					s.stop()
				default:
				}
				n.busy.Unlock()
			}
		}
	})
	return wg.Wait
}

// ended reports whether the load is over.
func (s *soak) ended() bool { return s.ctx.Err() != nil }

// pause waits, and reports whether the load goes on.
func (s *soak) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// within is how late a thing may be seen that was taken back. A second is what is
// promised. Where tests run beside each other the machine may take its time, and
// what is shown there is that it is seen at all.
func within() time.Duration { return long(time.Second, 15*time.Second) + 10*late() }

// counts are of answers, by what was answered.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what]++
}

func (c *counts) of(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[what]
}

func (c *counts) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.TrimPrefix(fmt.Sprint(c.n), "map")
}
