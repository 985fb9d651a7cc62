// Package redisstore keeps grants in Redis, or what speaks its protocol, for
// many nodes.
//
// A row is one string: its version, which a script compares without reading the
// rest, and its encoding. It is replaced, and its change published, by a script.
// A word that cannot be published, for want of a right perhaps, costs speed
// alone: it undoes no write. A row vanishes at its end by the server's clock.
//
// What a row is found by stands in sorted sets, which the same scripts keep
// ([session.Finder]). They are whole, or all is walked: see [Store.Indexed].
//
// Redis answers before its replicas have a write. Where one of them is to take
// over ([Options.Replicas]), a write is a success only once so many have it, in
// the same round trip (WAIT). Whether one that was not confirmed will last is
// not known, not even by reading it: who asks whether a write took place is told
// only what is confirmed ([Store.Confirmed]). Hence nothing is presented on an
// intent that a failover could undo. What others read meanwhile can only be
// undone together with what they write on it, for replication keeps the order.
//
// Nothing is tried again here, and no write by the client library: a write whose
// answer got lost is an error that says nothing, as [session.Store] has it.
package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// Why the store could not be asked, beside what the network and the server say.
var (
	ErrUnconfirmed = errors.New("written, but not confirmed by enough replicas")
	ErrDamaged     = errors.New("a record is damaged, or something else stands in its place")
	ErrTooLarge    = errors.New("a record is too large")
	errClosed      = errors.New("the store is closed")
)

// mostRow bounds a row: two tokens of 32 KB and what goes with them.
const mostRow = 256 << 10

// Store is a connection to the servers, shared by all who use it.
type Store struct {
	prefix   string
	names    string          // of what stands beside the rows
	channel  string          // of changes
	indexers string          // the channel that a node listens at which keeps the indexes
	own      string          // of what this process says to itself
	ctx      context.Context // of what listens
	stop     context.CancelFunc
	work     sync.WaitGroup
	link     atomic.Pointer[link]

	idle atomic.Int64 // how far back Due looks for the last use; 0: it was not asked yet

	mu                sync.Mutex
	whole, wholeAsked bool // the indexes are, as far as is known; it was asked just now
	waking            map[int]func(session.Key)
	lastWake          int
	ear               *ear   // nil: nothing is heard
	line              uint64 // how many subscriptions there were
	lastWord          uint64
	closed            bool
}

var (
	_ session.Store     = (*Store)(nil)
	_ session.Waker     = (*Store)(nil)
	_ session.CatchUp   = (*Store)(nil)
	_ session.Confirmer = (*Store)(nil)
)

// link is a client with the options it was made of.
type link struct {
	client   *redis.Client
	options  Options
	replicas int
	confirm  time.Duration // how long replicas may take
	writing  chan struct{} // held by those that wait for replicas: half the connections at most
	replaced chan struct{} // closed when another one has taken its place
}

// Open answers a store once its server has answered. The namespace of the
// options, database and prefix, stays what it is.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := named(&o)
	l := o.link()
	if err := l.client.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("asking %s: %w", o.where(), err), l.client.Close())
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.link.Store(l)
	s.work.Go(s.listen)
	s.work.Go(s.indexing)
	return s, nil
}

// named is a store that is not open.
func named(o *Options) *Store {
	s := &Store{
		prefix: o.Prefix + ":{", names: o.Prefix + ":", channel: fmt.Sprintf("%s:changed:%d", o.Prefix, o.Database),
		indexers: fmt.Sprintf("%s:indexers:%d", o.Prefix, o.Database),
		waking:   map[int]func(session.Key){},
	}
	s.own = fmt.Sprintf("%s:%x", s.channel, session.NewID())
	return s
}

// Apply takes other options for the same place: what is under way ends as it
// began.
func (s *Store) Apply(o Options) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	old := s.link.Load()
	if o.equal(&old.options) {
		return
	}
	s.link.Store(o.link())
	close(old.replaced)
	time.AfterFunc(4*old.confirm, func() { _ = old.client.Close() })
}

// Close lets go of the connections.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.stop()
	s.work.Wait()
	return s.link.Load().client.Close()
}

func (s *Store) ready(ctx context.Context) error {
	if s.ctx.Err() != nil {
		return errClosed
	}
	return ctx.Err()
}

// Now is the server's clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	if err := s.ready(ctx); err != nil {
		return time.Time{}, err
	}
	return s.link.Load().client.Time(ctx).Result()
}

// Load reads a row, in one round trip.
func (s *Store) Load(ctx context.Context, key session.Key) (row session.Row, err error) {
	if err := s.ready(ctx); err != nil {
		return row, err
	}
	// A range, and not all of it: who knows how long it is.
	value, err := s.link.Load().client.GetRange(ctx, s.name(key), 0, mostRow).Result()
	if err != nil {
		return row, err
	}
	if err := decode(value, key, row.UnmarshalBinary, &row); err != nil {
		return session.Row{}, err
	}
	return row, nil
}

const versionSize = 8 + 16

// decode reads a value that may be anything. An empty one is none: the server
// has no strings without letters under names of ours.
func decode(value string, key session.Key, read func([]byte) error, row *session.Row) error {
	switch {
	case value == "":
		return session.ErrNotFound
	case len(value) > mostRow:
		return ErrTooLarge
	case len(value) < versionSize:
		return ErrDamaged
	}
	if err := read([]byte(value[versionSize:])); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if version := row.Version(); row.Key != key || string(spell(&version)) != value[:versionSize] {
		return fmt.Errorf("%w: it stands under another's key, or version", ErrDamaged)
	}
	return nil
}

// name is the server's name of a row. In a cluster the braces would make each
// row's place depend on its key alone.
func (s *Store) name(key session.Key) string {
	return s.prefix + nameEncoding.EncodeToString(key[:]) + "}"
}

func (s *Store) keyOf(name string) (key session.Key, ok bool) {
	text, ok := strings.CutPrefix(name, s.prefix)
	text, closed := strings.CutSuffix(text, "}")
	if !ok || !closed || len(text) != nameEncoding.EncodedLen(len(key)) {
		return key, false
	}
	_, err := nameEncoding.Decode(key[:], []byte(text))
	return key, err == nil
}
