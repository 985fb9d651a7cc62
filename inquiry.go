package caddyoauth

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

// inquiries are shared by sites and outlive reloads, as authorities do.
var inquiries = pool.New[*inquiry]()

const (
	askWithin      = 5 * time.Second  // one call, from looking for the endpoint to the answer's last byte
	inactiveFor    = 10 * time.Second // how long an answer counts that a token is inactive
	mostInactive   = 10_000           // of those that are remembered
	opinionSize    = 512              // of what is remembered beside the answer itself, in bytes
	bytesPerAnswer = 1 << 10          // on average, for as many answers as "cache" allows
)

// askBreaks is when an endpoint is left alone that fails, and for how long.
var askBreaks = breaker.Limits{After: 5, Least: time.Second, Most: 30 * time.Second, Within: askWithin}

// inquiry asks one issuer about tokens, as one client, and remembers what it
// said. Everything that changes what an answer means makes another inquiry, so
// that no answer outlives or escapes the settings it was given under.
type inquiry struct {
	authority string // whose tokens they are: its key
	issuer    string
	always    bool // about JWTs too
	server    *as.Server
	own       bool // server belongs to the inquiry alone
	at        as.Introspection
	profile   token.Profile // for reading answers; audience and skew are each gateway's own
	remember  time.Duration // 0: not at all
	breaker   breaker.Breaker
	probe     probe
	limits    *askLimits
	metrics   telemetry.AskMetrics
	ctx       context.Context
	stop      context.CancelFunc

	// Those that are inactive are apart: a flood of them evicts no good one.
	active, inactive *otter.Cache[token.Digest, *opinion]

	mu      sync.Mutex
	flights map[token.Digest]*inquiryFlight // one for each token that is asked about now
}

// opinion is what an issuer said of a token, as it was judged. It does not change.
type opinion struct {
	facts   *token.Facts
	refusal error  // a *token.Refusal; nil: facts count
	answer  string // the issuer's JSON, for claims that are asked for later; "" for a JWT
	until   int64  // nanoseconds since 1970; then the issuer is asked again
}

// inquiryFlight is a call under way.
type inquiryFlight struct {
	done    chan struct{}
	opinion *opinion
	err     error
}

var (
	errAskTooOften = errors.New("the issuer is asked about too many tokens: rate in introspect")
	errAskPaused   = errors.New("the introspection endpoint failed several times, and is left alone for a while")
)

// inquirySettings are whom an issuer is asked as, and about which tokens.
type inquirySettings struct {
	Authority string     // the key of the authority whose tokens they are
	Server    *as.Server // that of the authority; nil: its keys come from a file
	Config    as.Config  // of the issuer
	Endpoint  string     // "": the one in its metadata
	Client    as.Client
	IDTokens  bool // take ID tokens as access tokens
	WantsType bool // an answer has to say what an opaque token is
	Entries   int  // how many answers are remembered, about; 0: none
}

// openInquiry gets an inquiry from the pool, where it may have been since an
// earlier configuration, until release is called.
func (n *Introspect) openInquiry(set inquirySettings) (q *inquiry, release func()) {
	return inquiries.Acquire(set.Authority+" "+n.mark(set), func() *inquiry {
		q := &inquiry{
			authority: set.Authority, issuer: set.Config.Issuer, always: n.Always, server: set.Server,
			at:       as.Introspection{Endpoint: set.Endpoint, Client: set.Client},
			profile:  token.Profile{Issuer: set.Config.Issuer, IDTokens: set.IDTokens, Told: set.WantsType},
			remember: n.remember(), limits: newAskLimits(n.rate()),
			metrics: telemetry.Metrics.ForInquiry(set.Config.Issuer), flights: map[token.Digest]*inquiryFlight{},
		}
		if q.server == nil {
			q.server, q.own = as.New(set.Config), true
		}
		if set.Entries == 0 {
			q.remember = 0
		}
		q.ctx, q.stop = context.WithCancel(context.Background())
		q.active = newOpinions(uint64(max(1, set.Entries))*bytesPerAnswer, mostRemembered)
		q.inactive = newOpinions(mostInactive*opinionSize, inactiveFor)
		return q
	})
}

// newOpinions is a cache that is bounded by what it weighs: issuers decide how
// long their answers are.
func newOpinions(weight uint64, life time.Duration) *otter.Cache[token.Digest, *opinion] {
	return otter.Must(&otter.Options[token.Digest, *opinion]{
		MaximumWeight:    weight,
		Weigher:          func(_ token.Digest, o *opinion) uint32 { return uint32(opinionSize + len(o.answer)) }, //nolint:gosec // answers are bounded
		ExpiryCalculator: otter.ExpiryWriting[token.Digest, *opinion](life),
		Logger:           &otter.NoopLogger{}, // nothing it says could be acted on
	})
}

// Destruct lets go of the calls under way.
func (q *inquiry) Destruct() error {
	q.stop()
	q.active.StopAllGoroutines()
	q.inactive.StopAllGoroutines()
	q.limits.stop()
	if q.own {
		q.server.Close()
	}
	return nil
}

// paused is how long the endpoint is left alone still, after failures.
func (q *inquiry) paused(now time.Time) time.Duration { return q.breaker.Open(now) }

// recall is what the issuer said of a token not long ago, or nil.
func (q *inquiry) recall(key token.Digest, now time.Time) *opinion {
	if q.remember == 0 {
		return nil
	}
	for _, cache := range []*otter.Cache[token.Digest, *opinion]{q.active, q.inactive} {
		if said, hit := cache.GetIfPresent(key); hit && now.UnixNano() < said.until {
			return said // one of the two: what is said anew ends what was said before
		}
	}
	return nil
}

// forget what was said of a token.
func (q *inquiry) forget(key token.Digest) { q.active.Invalidate(key) }
