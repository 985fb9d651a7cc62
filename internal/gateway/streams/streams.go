// Package streams ends exchanges with what let them in: the access token, the
// grant behind it. A request is judged once, when it comes; a WebSocket, a stream of
// events, a call of gRPC, a long poll or a long body goes on afterwards. A [Room]
// knows those of one gateway that have lasted longer than a moment, judges them again
// when their token runs out, when something may have been taken back, and each minute,
// and ends what would not be let in any more.
//
// A request that is over within a moment costs a place in a list, and nothing else:
// no allocation, no lock that all share, no wrapper around what it writes to. What
// lasts has no goroutine of its own here.
package streams

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

const (
	tickEach     = 200 * time.Millisecond
	momentTicks  = 2                      // so many ticks an exchange may last before it is watched
	judgeEach    = time.Minute            // a token that stands for itself is judged again so often
	useEach      = 30 * time.Minute       // one whose end is told is, or its status list would be forgotten
	judgeWithin  = 15 * time.Second       // what needs the issuer may take so long
	judgeAgain   = 3 * time.Second        // after it failed: an outage ends nothing
	doubtWithin  = time.Minute            // a grant may get another token, in place of one that counts no more
	finishWithin = 30 * time.Second       // so old a plain exchange gets although its token has run out
	cutAfter     = 500 * time.Millisecond // what was asked to end is cut off then
)

// Options are what a room needs of its gateway.
type Options struct {
	Block *Streams // nil: nothing was said
	Now   func() time.Time
	Log   *zap.Logger
	// Judge judges again what once let a request in, without that request, which came
	// at began. An error is a [*verdict.Rejection], which ends the exchange, or a
	// failure, which does not.
	Judge func(ctx context.Context, found credential.Presented, needs policy.Fit, began time.Time) (Judged, error)
	// Dress makes of a request that tells the upstream of a renewal what the gateway
	// makes of any request that is let in so.
	Dress func(r *http.Request, by Judged) error
	// Watch has a grant's end told, until Unwatch. Nil: there are no grants.
	Watch, Unwatch func(key session.Key, w session.Watcher)
	// Over is called once when nothing is open any more, and nothing will come.
	Over func()
	// UseEach is how often a grant is used at least, so that it does not lie idle.
	UseEach time.Duration
}

// Admitted is what a request was let in by.
type Admitted struct {
	Found credential.Presented
	As    *token.Principal // nil: it is anonymous
	Needs policy.Fit       // what was required of it beyond a token
}

// Judged is what an exchange is let go on by.
type Judged struct {
	Found credential.Presented
	As    *token.Principal
	Until time.Time
}

// Room has the open exchanges of one gateway. It outlives a reload of its
// configuration for as long as one of them is open.
type Room struct {
	Options
	closeCode   uint16
	keep        bool        // beyond the token's end
	renewalPath string      // where the upstream is told; "": it is not
	untold      atomic.Bool // it could not be told, the last time

	epoch  atomic.Uint32 // counts ticks
	ticks  atomic.Bool
	recent [recentShards]recent // exchanges that may be over in a moment
	quick  crew                 // judge by what is known here
	slow   crew                 // may wait for an issuer
	tell   crew                 // may wait for the upstream
	taken  atomic.Int64         // when something was taken back last, by a [Room.Reconsider]

	mu     sync.Mutex
	open   queue // all others, by when each is looked at next
	closed bool
}

const recentShards = 16

// recent is a part of the exchanges that began just now, the newest first.
type recent struct {
	mu   sync.Mutex
	list exchange // a ring: list.next is the newest, list.prev the oldest
	_    [64]byte // which keeps others' locks out of this cache line
}

// New makes a room. Nothing runs before there is something in it.
func New(o Options) *Room {
	o.UseEach = min(o.UseEach, useEach)
	m := &Room{Options: o, closeCode: o.Block.Code(), keep: o.Block.keeps()}
	for i := range m.recent {
		list := &m.recent[i].list
		list.next, list.prev = list, list
	}
	m.quick.most, m.slow.most, m.tell.most = 8, 64, 16
	if o.Block != nil {
		m.renewalPath = o.Block.OnRenewal
	}
	return m
}

// Close says that no request comes any more. What is open stays open, and judged.
func (m *Room) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.begin() // which sees when nothing is open any more
}

var spare = sync.Pool{New: func() any { return new(exchange) }}

// Serve has forward answer a request that was let in as somebody. next is what
// stands behind the gateway.
func (m *Room) Serve(w http.ResponseWriter, r *http.Request, let *Admitted, next caddyhttp.Handler,
	forward func(http.ResponseWriter, *http.Request) error,
) error {
	x := spare.Get().(*exchange)
	x.room, x.out, x.major, x.kind = m, w, r.ProtoMajor, kindOf(r)
	x.found, x.needs, x.issuer, x.subject, x.due = let.Found, let.Needs, let.As.Issuer, let.As.Subject, untilOf(&let.Found, let.As)
	if m.renewalPath != "" && x.found.Swapped {
		x.told = newTold(r, x.found.Token, next)
	}
	if x.kind == grpc || x.major == 3 { // there is no other way to have the upstream told
		var ctx context.Context
		ctx, x.cancel = context.WithCancel(r.Context())
		r = r.WithContext(ctx)
	}
	if x.kind != plain {
		w = x.dress(w)
	}
	m.enter(x)
	if x.kind == grpc {
		return x.serveGRPC(w.(*grpcWriter), r, forward)
	}
	returned := false
	defer func() {
		if !returned {
			x.leave() // with a panic: the server closes what it came in
		}
	}()
	err := forward(w, r)
	returned = true
	if ended := x.leave(); ended {
		return x.after(err)
	}
	return err
}

// untilOf is how long a request's token counts, and its grant.
func untilOf(found *credential.Presented, p *token.Principal) time.Time {
	if found.Swapped && !found.Until.IsZero() {
		return found.Until
	}
	return p.Until()
}

func (m *Room) enter(x *exchange) {
	x.epoch = m.epoch.Load()
	s := &m.recent[rand.Uint32()%recentShards] //nolint:gosec // spreads load, keeps no secret
	x.among = s
	s.mu.Lock()
	x.prev, x.next = &s.list, s.list.next
	x.next.prev, s.list.next = x, x
	s.mu.Unlock()
	if !m.ticks.Load() {
		m.begin()
	}
}

// leave is called once, when the exchange is over, and reports whether it was ended
// here. Unless it was, x may be another one afterwards.
func (x *exchange) leave() (ended bool) {
	s := x.among
	s.mu.Lock()
	young := x.next != nil
	if young {
		x.prev.next, x.next.prev = x.next, x.prev
	}
	s.mu.Unlock()
	if young {
		if x.cancel != nil {
			x.cancel()
		}
		*x = exchange{}
		spare.Put(x)
		return false
	}
	x.room.remove(x)
	return x.over.Load()
}

// Reconsider has open exchanges judged soon whose token an issuer may have taken
// back: of a subject, or of all where that is empty.
func (m *Room) Reconsider(issuer, subject string) {
	m.taken.Store(m.Now().UnixNano())
	m.mu.Lock()
	var all []*exchange
	for _, x := range m.open { // which what is due changes places in
		if x.issuer == issuer && (subject == "" || x.subject == "" || x.subject == subject) {
			all = append(all, x)
		}
	}
	all = slices.DeleteFunc(all, func(x *exchange) bool { return !m.due(x) })
	m.mu.Unlock()
	for _, x := range all {
		m.hand(x)
	}
}
