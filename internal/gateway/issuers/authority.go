package issuers

import (
	"crypto/x509"
	"slices"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/pool"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// authorities has one for each issuer and fingerprint.
var authorities = pool.New[*authority]()

// longestKept is how long a verified token is remembered at the most. It is judged
// each time, so it may be for as long as it lives; but one of a year that is not
// used any more is to leave the memory.
const longestKept = 24 * time.Hour

// bytesPerToken is what the cache may take for each of as many tokens as it is to
// remember. One that takes less counts for as much.
const bytesPerToken = 512

// lives is how much longer a token is worth remembering: no gateway takes it when
// it has run out by the largest skew. It is the same cache for all of them.
func lives(e otter.Entry[token.Digest, *token.Facts]) time.Duration {
	left := e.Value.Expiry + int64(MaxSkew/time.Second) - time.Now().Unix()
	return time.Duration(min(max(left, 1), int64(longestKept/time.Second))) * time.Second
}

// authority is the state of one issuer that sites share and that outlives a
// reload: its keys, and the tokens that were verified by them. The cache
// belongs to the issuer and not to a site, so that no entry can outlive or
// escape the settings it was verified under.
type authority struct {
	key    string // in the pool
	issuer string
	Server *as.Server // nil: the keys come from a file
	keys   token.KeySource
	lists  *as.Server       // has its lists of statuses; nil: none are looked at
	signed token.Algorithms // that are configured
	cache  *otter.Cache[token.Digest, *token.Facts]

	mu         sync.Mutex
	capacities []int // that the configurations ask for; the largest counts
}

// acquire answers the authority for a key, which works in env until release is
// called.
func acquire(key string, capacity int, set *Settings, cfg as.Config, env as.Env) (auth *authority, release func()) {
	auth, leave := authorities.Acquire(key, func() *authority { return newAuthority(key, set, cfg) })
	detach := func() {}
	switch {
	case auth.Server != nil:
		detach = auth.Server.Attach(env)
	case auth.lists != nil:
		detach = auth.lists.Attach(env)
	}
	auth.addCapacity(capacity)
	return auth, func() {
		detach()
		auth.removeCapacity(capacity)
		leave()
	}
}

// DefaultCache is how many verified tokens are remembered for each issuer,
// unless a gateway says otherwise.
const DefaultCache = 100_000

func newAuthority(key string, set *Settings, cfg as.Config) *authority {
	auth := &authority{key: key, issuer: cfg.Issuer, signed: set.Algorithms}
	auth.cache = otter.Must(&otter.Options[token.Digest, *token.Facts]{
		MaximumWeight:    DefaultCache * bytesPerToken,
		Weigher:          func(_ token.Digest, facts *token.Facts) uint32 { return uint32(max(facts.Size(), bytesPerToken)) }, //nolint:gosec // tokens are bounded
		ExpiryCalculator: otter.ExpiryWritingFunc(lives),
		Logger:           &otter.NoopLogger{}, // nothing it says could be acted on
	})
	if set.Fixed != nil {
		if auth.keys = set.Fixed; cfg.Statuses != nil {
			auth.lists = as.New(cfg)
		}
		return auth
	}
	auth.Server = as.New(cfg)
	if auth.keys = auth.Server; cfg.Plain {
		auth.keys = new(token.KeySet)
	}
	if cfg.Statuses != nil {
		auth.lists = auth.Server
	}
	return auth
}

// Destruct ends the authority's background work.
func (a *authority) Destruct() error {
	switch {
	case a.Server != nil:
		a.Server.Close()
	case a.lists != nil:
		a.lists.Close()
	}
	a.cache.StopAllGoroutines()
	return nil
}

func (a *authority) addCapacity(capacity int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.capacities = append(a.capacities, capacity)
	a.resize()
}

func (a *authority) removeCapacity(capacity int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.capacities, capacity); i >= 0 {
		a.capacities = slices.Delete(a.capacities, i, i+1)
	}
	a.resize()
}

func (a *authority) resize() {
	if len(a.capacities) > 0 {
		a.cache.SetMaximum(uint64(slices.Max(a.capacities)) * bytesPerToken) //nolint:gosec // never below zero
	}
}

// knownTrust gives each different certificate pool of a source whose content
// cannot be told (http, storage, pki) a number, so that a changed one makes a
// new authority: keys fetched under the old trust must go. It grows with each
// such change, of which a process sees few.
var knownTrust struct {
	sync.Mutex
	pools []*x509.CertPool
}

func trustIndex(certs *x509.CertPool) int {
	knownTrust.Lock()
	defer knownTrust.Unlock()
	for i, known := range knownTrust.pools {
		if known.Equal(certs) {
			return i + 1
		}
	}
	knownTrust.pools = append(knownTrust.pools, certs)
	return len(knownTrust.pools)
}
