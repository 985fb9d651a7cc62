package streams

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/tunnel"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// kind is how an exchange is ended.
type kind uint8

const (
	plain  kind = iota // any request: events, long polls, bodies
	grpc               // over HTTP/2 or later: by its status
	socket             // a WebSocket: by a frame that closes it
	raw                // another protocol that insecure_upgrades lets pass
)

var names = [...]string{plain: "http", grpc: "grpc", socket: "websocket", raw: "upgrade"}

func kindOf(r *http.Request) kind {
	if upgrade := r.Header["Upgrade"]; len(upgrade) > 0 {
		if len(upgrade) == 1 && strings.EqualFold(upgrade[0], tunnel.WebSocket) {
			return socket
		}
		return raw
	}
	if r.ProtoMajor < 2 {
		return plain
	}
	if r.Method == http.MethodConnect && tunnel.OverCONNECT(r) {
		return socket
	}
	if r.Method == http.MethodPost && IsGRPC(r.Header["Content-Type"]) {
		return grpc
	}
	return plain
}

// exchange is a request that is being answered.
type exchange struct {
	room  *Room
	out   http.ResponseWriter // the server's
	major int                 // of HTTP
	kind  kind
	found credential.Presented
	needs policy.Fit
	// Whose token it is.
	issuer, subject string
	told            *told              // nil: the upstream is told nothing
	cancel          context.CancelFunc // nil: there is another way to end it

	// Under the lock of among, while it is young.
	among      *recent
	prev, next *exchange // nil: it is not young any more
	epoch      uint32

	// Under the room's lock.
	due         time.Time // when it is looked at next
	index       int       // in the queue
	busy, again bool      // it is looked at, and will be once more
	left        bool

	began   time.Time // about; set once, when it is taken in
	doubted time.Time // since when its grant has a token that counts no more, and may get another; while it is looked at

	mu      sync.Mutex
	gone    bool        // its handler has returned: nothing of it may be touched
	watched bool        // its grant is
	over    atomic.Bool // it was asked to end
	tunnel  *framed     // once it is one
}

// past is a deadline that has gone by.
var past = time.Unix(1, 0)

// GrantEnded is of [session.Watcher]. It ends in the background.
func (x *exchange) GrantEnded(why string) {
	var said *verdict.Rejection
	if x.found.Session {
		said = &verdict.Rejection{Status: http.StatusUnauthorized, Reason: verdict.NoCredential, LogIn: true}
	} else {
		said = verdict.OfReference(verdict.NoGrant, "it has ended")
	}
	if why == "" {
		why = "gone"
	}
	x.room.quick.add(func() { x.end(why, said) })
}

var _ session.Watcher = (*exchange)(nil)

// end asks an exchange to end, in the way of its kind; what does not is cut off
// soon afterwards.
func (x *exchange) end(why string, said *verdict.Rejection) {
	m := x.room
	x.mu.Lock()
	if x.gone || x.over.Load() {
		x.mu.Unlock()
		return
	}
	x.over.Store(true)
	x.ask(said)
	x.mu.Unlock()
	m.later(x, m.Now().Add(cutAfter))
	telemetry.Metrics.StreamEnded(names[x.kind], why)
	level := zapcore.InfoLevel
	if why == string(token.Expired) {
		level = zapcore.DebugLevel
	}
	if entry := m.Log.Check(level, "ended an open exchange: what let it in counts no more"); entry != nil {
		entry.Write(zap.String("kind", names[x.kind]), zap.String("reason", why), telemetry.Known("issuer", x.issuer),
			zap.Duration("age", m.Now().Sub(x.began).Round(time.Second)))
	}
}

// ask is called with the lock held.
//
// Over HTTP/1.1 a read that fails ends the request's context, as if the client had
// gone; over HTTP/2 a write whose time is over resets the stream, and does the same.
// Nothing can be said to the client any more: the proxy would say 499.
func (x *exchange) ask(said *verdict.Rejection) {
	switch {
	case x.tunnel != nil && x.tunnel.isOpen():
		x.tunnel.end(closeFrame(x.room.closeCode, said))
	case x.kind == grpc:
		x.cancel()
		// Or the proxy would go on waiting for what the client has to say.
		_ = http.NewResponseController(x.out).SetReadDeadline(past)
	default:
		x.abort()
	}
}

func (x *exchange) abort() {
	if x.cancel != nil {
		x.cancel()
	}
	_ = http.NewResponseController(serverOf(x.out)).SetWriteDeadline(past)
	_ = http.NewResponseController(x.out).SetReadDeadline(past)
}

// serverOf is what the server itself writes to. Caddy's own deadline for writing, in
// between, is for the handler alone.
func serverOf(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}

// cut is for what has not ended when it was asked.
func (x *exchange) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.gone:
	case x.tunnel != nil && x.tunnel.cut != nil:
		x.tunnel.cut()
	default:
		x.abort()
	}
}

// after is what becomes of an exchange that was ended. No other request may come over
// its connection, whose context has ended, and no answer may look like a whole one.
func (x *exchange) after(err error) error {
	if x.tunnel != nil && x.tunnel.isOpen() {
		return err
	}
	panic(http.ErrAbortHandler)
}
