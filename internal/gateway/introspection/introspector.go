// Package introspection asks an issuer about its tokens (RFC 7662): the
// introspect block of an issuer's configuration, what was said of a token and how
// long that counts, how often the issuer may be asked, and when it is left alone.
package introspection

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/breaker"
	"github.com/caddyoauth/caddyoauth/internal/gateway/pool"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// introspectors has one for each issuer and settings.
var introspectors = pool.New[*Introspector]()

const (
	callWithin     = 5 * time.Second  // one call, from looking for the endpoint to the answer's last byte
	inactiveFor    = 10 * time.Second // how long an answer counts that a token is inactive
	mostInactive   = 10_000           // of those that are remembered
	resultSize     = 512              // of what is remembered beside the answer itself, in bytes
	bytesPerAnswer = 1 << 10          // on average, for as many answers as "cache" allows
)

// breakerLimits is when an endpoint is left alone that fails, and for how long.
var breakerLimits = breaker.Limits{After: 5, Least: time.Second, Most: 30 * time.Second, Within: callWithin}

// Introspector asks one issuer about tokens, as one client, and remembers what it
// said. It is shared by sites and outlives a reload. Everything that changes what an answer means makes another introspector, so
// that no answer outlives or escapes the settings it was given under.
type Introspector struct {
	authority string // whose tokens they are: its key
	issuer    string
	Always    bool // about JWTs too
	Completes bool // its answers say what those lack
	server    *as.Server
	own       bool // server belongs to the introspector alone
	at        as.Introspection
	profile   token.Profile // for reading answers; audience and skew are each gateway's own
	remember  time.Duration // 0: not at all
	breaker   breaker.Breaker
	probe     probe
	unread    unread
	limits    *askLimits
	metrics   telemetry.AskMetrics
	ctx       context.Context
	stop      context.CancelFunc

	// Those that are inactive are apart: a flood of them evicts no good one.
	active, inactive *otter.Cache[token.Digest, *Result]

	mu    sync.Mutex
	calls map[token.Digest]*sharedCall // one for each token that is asked about now
}

// Result is what an issuer said of a token, as it was judged. It does not change.
type Result struct {
	Facts   *token.Facts
	Refusal error  // a *token.Refusal; nil: facts count, and with facts they do for a log-in of the gateway's own
	Answer  string // the issuer's JSON, for claims that are asked for later; "" for a JWT that it does not complete
	Until   int64  // nanoseconds since 1970; then the issuer is asked again
}

// Knows reports whether the issuer takes the token for one of its own, whether it
// passes or not.
func (r *Result) Knows() bool {
	reason := token.ReasonOf(r.Refusal)
	return reason != token.Inactive && reason != token.IssuerUnknown
}

// decoded are the claims that were asked for of it.
func (r *Result) decoded() *token.Decoded {
	if r.Facts == nil {
		return nil
	}
	return r.Facts.Decoded
}

// sharedCall is a call under way, and those who ask about its token wait for it.
type sharedCall struct {
	done   chan struct{}
	result *Result
	err    error
}

var (
	errTooOften = errors.New("the issuer is asked about too many tokens: rate in introspect")
	errPaused   = errors.New("the introspection endpoint failed several times, and is left alone for a while")
)

// Settings are whom an issuer is asked as, and about which tokens.
type Settings struct {
	Authority  string     // the key of the authority whose tokens they are
	Server     *as.Server // that of the authority; nil: its keys come from a file
	Config     as.Config  // of the issuer
	Endpoint   string     // "": the one in its metadata
	Client     as.Client
	Tokens     string          // what iss of its access tokens is; "": the issuer
	Keys       token.KeySource // of the issuer, and its algorithms, for answers that are signed
	Algorithms token.Algorithms
	IDTokens   bool // take ID tokens as access tokens
	ByClient   bool // a client may stand for an audience; then an answer without one has to say what an opaque token is
	WantsType  bool // an answer has to say what an opaque token is
	Entries    int  // how many answers are remembered, about; 0: none
}

// Open answers the introspector of these settings, which may be there since an
// earlier configuration. It is held until release is called.
func (n *Introspect) Open(set Settings) (q *Introspector, release func()) {
	return introspectors.Acquire(set.Authority+" "+n.mark(set), func() *Introspector {
		q := &Introspector{
			authority: set.Authority, issuer: set.Config.Issuer, Always: n.AboutJWTs(), Completes: n.Lightweight, server: set.Server,
			at:       as.Introspection{Endpoint: set.Endpoint, Client: set.Client},
			profile:  token.Profile{Issuer: set.Config.Issuer, Tokens: set.Tokens, IDTokens: set.IDTokens, ByClient: set.ByClient, Told: set.WantsType},
			remember: n.remember(), limits: newAskLimits(n.rate()),
			metrics: telemetry.Metrics.ForIntrospection(set.Config.Issuer), calls: map[token.Digest]*sharedCall{},
		}
		if n.JWTResponse {
			q.at.Signed = &token.SignedAnswer{Issuer: set.Config.Issuer, Client: set.Client.ID, Algorithms: set.Algorithms, Keys: set.Keys}
		}
		if q.server == nil {
			q.server, q.own = as.New(set.Config), true
		}
		if set.Entries == 0 {
			q.remember = 0
		}
		q.ctx, q.stop = context.WithCancel(context.Background())
		q.active = newResults(uint64(max(1, set.Entries))*bytesPerAnswer, LongestCache)
		q.inactive = newResults(mostInactive*resultSize, inactiveFor)
		return q
	})
}

// All are the introspectors that some configuration uses now.
func All() []*Introspector { return introspectors.All() }

// newResults makes a cache that is bounded by what it weighs: issuers decide how
// long their answers are.
func newResults(weight uint64, life time.Duration) *otter.Cache[token.Digest, *Result] {
	return otter.Must(&otter.Options[token.Digest, *Result]{
		MaximumWeight:    weight,
		Weigher:          func(_ token.Digest, o *Result) uint32 { return uint32(resultSize + len(o.Answer) + o.decoded().Size()) }, //nolint:gosec // answers are bounded
		ExpiryCalculator: otter.ExpiryWriting[token.Digest, *Result](life),
		Logger:           &otter.NoopLogger{}, // nothing it says could be acted on
	})
}

// Destruct ends the calls under way. The pool calls it.
func (q *Introspector) Destruct() error {
	q.stop()
	q.active.StopAllGoroutines()
	q.inactive.StopAllGoroutines()
	q.limits.stop()
	if q.own {
		q.server.Close()
	}
	return nil
}

// Paused is how long the endpoint is still left alone, for its failures.
func (q *Introspector) Paused(now time.Time) time.Duration { return q.breaker.Open(now) }

// Recall is what the issuer said of a token not long ago, or nil.
func (q *Introspector) Recall(key token.Digest, now time.Time) *Result {
	if q.remember == 0 {
		return nil
	}
	for _, cache := range []*otter.Cache[token.Digest, *Result]{q.active, q.inactive} {
		if said, hit := cache.GetIfPresent(key); hit && now.UnixNano() < said.Until {
			if said.decoded().Grew() {
				cache.Set(key, said) // has it weighed again
			}
			return said // one of the two: what is said anew ends what was said before
		}
	}
	return nil
}

// Knew reports whether the issuer called a token active within the last hour.
func (q *Introspector) Knew(key token.Digest) bool {
	_, known := q.limits.known.GetIfPresent(key)
	return known
}

// Forget forgets that a token was called active.
func (q *Introspector) Forget(key token.Digest) { q.active.Invalidate(key) }
