// Package signals receives what a transmitter tells of an issuer's users, sessions
// and tokens (OpenID Shared Signals Framework 1.0, CAEP 1.0, RISC 1.0): the signals
// block of an issuer's configuration, events that are pushed (RFC 8935) or polled
// (RFC 8936), what each of them does, and whether the transmitter is heard of at
// all. What an event takes back goes to the [Site]s that take the issuer's tokens.
package signals

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/pool"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/secevent"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// receivers has one for each issuer, transmitter and settings.
var receivers = pool.New[*Receiver]()

// Settings are what a receiver needs of its issuer's block.
type Settings struct {
	Issuer     string   // as it is configured
	Names      []string // what iss of its tokens may be
	Config     as.Config
	Algorithms token.Algorithms
	Skew       time.Duration
	Client     *as.Client // who asks for access tokens; nil: none are asked for
	// Grant asks the issuer's token endpoint.
	Grant func(ctx context.Context, client as.Client, form map[string][]string) (*as.Tokens, error)
	// Mark says what else of the issuer's settings makes another receiver.
	Mark string
}

// Site is a gateway that takes the issuer's tokens.
type Site struct {
	Log *zap.Logger
	// TakeBack has access tokens that the entry covers count no more, on every node.
	TakeBack func(ctx context.Context, e revoked.Entry) error
	// End ends the grants of what the entry names that began until its moment, and
	// counts them. nil: no grants are kept.
	End func(ctx context.Context, e revoked.Entry) (int, error)
	// Memory is what all nodes know. nil: there is one node.
	Memory Memory
}

// Memory remembers what was done once, for all nodes.
type Memory interface {
	Happened(ctx context.Context, parts ...string) (bool, error)
	Once(ctx context.Context, until time.Time, parts ...string) (first bool, err error)
	Forget(ctx context.Context, parts ...string) error
}

// Receiver receives the events of one transmitter about one issuer. It is shared
// by sites, and outlives a reload.
type Receiver struct {
	issuer  string
	block   *Signals
	set     Resolved
	server  *as.Server // the transmitter
	proof   token.Transmitter
	mapping mapping
	names   names
	effects map[string]secevent.Effect
	access  access
	seen    recent
	ctx     context.Context
	stop    context.CancelFunc
	start   sync.Once
	now     func() time.Time

	watch // whether it is heard of

	mu    sync.Mutex
	sites []*Site
}

// Open answers the receiver of these settings, which may be there since an earlier
// configuration. It is held until release is called, and does nothing before
// [Receiver.Start].
func (s *Signals) Open(set Resolved, with Settings) (r *Receiver, release func()) {
	r, leave := receivers.Acquire(s.mark(set, &with), func() *Receiver { return s.receiver(set, with) })
	detach := r.server.Attach(as.Env{Observe: r.observeKeys})
	return r, func() { detach(); leave() }
}

func (s *Signals) receiver(set Resolved, with Settings) *Receiver {
	r := &Receiver{issuer: with.Issuer, block: s, set: set, effects: s.effects(), now: time.Now}
	cfg := with.Config
	cfg.Signals, cfg.Issuer, cfg.Metadata, cfg.JWKS, cfg.Named, cfg.StoreAs, cfg.Bearer = true, set.URL, set.Metadata, "", as.Named{}, "", nil
	if cfg.Issuer == "" {
		cfg.Issuer = with.Issuer
	}
	r.server = as.New(cfg)
	r.proof = token.Transmitter{Issuer: cfg.Issuer, Audience: set.Audience, Algorithms: with.Algorithms, Skew: with.Skew, Keys: r.server}
	r.mapping = mapping{issuer: with.Issuer, names: with.Names, match: s.Match, critical: r.critical}
	r.names = s.names(with.Issuer)
	r.access = access{fixed: set.Token, client: with.Client, scope: s.Scope, grant: with.Grant}
	r.watch.began.Store(time.Now().UnixNano())
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// mark is the same where events mean the same in two configurations.
func (s *Signals) mark(set Resolved, with *Settings) string {
	client := ""
	if with.Client != nil {
		client = with.Client.Print()
	}
	all, err := json.Marshal([]any{
		with.Issuer, with.Names, with.Mark, with.Skew, client, s.Poll, s.Push, s.Scope, s.verify(), s.Silent, s.On, s.Match,
		set.URL, set.Metadata, set.Audience, set.PollEndpoint, set.Stream, set.Token.Reveal(), set.Header.Reveal(),
	})
	if err != nil {
		panic("caddyoauth: a fingerprint that cannot be encoded: " + err.Error())
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:16])
}

// critical are the members of complex subjects that the transmitter calls so.
func (r *Receiver) critical() []string {
	ends, _ := r.server.KnownEndpoints()
	return ends.Signals.CriticalMembers
}

// observeKeys tells of the transmitter's keys, without which no event can be judged.
func (r *Receiver) observeKeys(e as.Event) {
	if e.Op == as.OpFetch && e.Err != nil && !e.Held {
		r.log().Warn("no keys of the transmitter yet: fetching them failed, and its events are to be sent again", zap.Error(e.Err))
	}
}

// Start begins to fetch the transmitter's keys, and to ask for events.
func (r *Receiver) Start() {
	r.start.Do(func() {
		r.server.Start()
		if r.block.Poll {
			go r.poll()
		}
		go r.verifyAgain()
	})
}

// Destruct ends the work in the background. The pool calls it.
func (r *Receiver) Destruct() error {
	r.stop()
	r.server.Close()
	return nil
}

// Attach has a site do what events say, until detach is called.
func (r *Receiver) Attach(s *Site) (detach func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sites = append(r.sites, s)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.sites = slices.DeleteFunc(r.sites, func(one *Site) bool { return one == s })
	}
}

func (r *Receiver) attached() []*Site {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sites)
}

// memory is what the nodes have in common, or nil.
func (r *Receiver) memory() Memory {
	for _, s := range r.attached() {
		if s.Memory != nil {
			return s.Memory
		}
	}
	return nil
}

// log is that of the site that came last.
func (r *Receiver) log() *zap.Logger {
	if sites := r.attached(); len(sites) > 0 {
		return sites[len(sites)-1].Log.With(zap.String("issuer", r.issuer), zap.String("transmitter", r.proof.Issuer))
	}
	return zap.NewNop()
}

// mostRecent bounds what one node remembers of events that it has done.
const mostRecent = 4096

// recent are the jti of events that this node has done, the last ones.
type recent struct {
	mu    sync.Mutex
	known map[string]bool
	ring  []string
	next  int
}

func (c *recent) has(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[id]
}

func (c *recent) add(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[id] {
		return
	}
	if c.known == nil {
		c.known, c.ring = map[string]bool{}, make([]string, mostRecent)
	}
	delete(c.known, c.ring[c.next])
	c.known[id], c.ring[c.next] = true, id
	c.next = (c.next + 1) % mostRecent
}

// watch is what is known of whether the transmitter is heard of. Times are
// nanoseconds since 1970; 0: it has not happened.
type watch struct {
	began atomic.Int64
	heard atomic.Int64           // the last event that was proved, on any node
	asked atomic.Int64           // the last verification that was asked for
	state atomic.Pointer[string] // of the stream, as the transmitter told it last; nil: it has not
	fault atomic.Pointer[error]  // why the transmitter could not be asked last; nil: it could
}
