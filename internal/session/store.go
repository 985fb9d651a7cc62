package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// What a store answers. Any other error means "could not ask": nothing is known
// then, not even whether a write took place.
var (
	ErrNotFound = errors.New("no such record")
	ErrExists   = errors.New("there is such a record already")
	ErrConflict = errors.New("the record has changed meanwhile")
)

// Store keeps rows for one node or for many. A row that was given or taken
// belongs to its receiver: a store copies. A store may forget a row once its
// own clock is past Until.
type Store interface {
	// Load reads a row, or answers ErrNotFound.
	Load(ctx context.Context, key Key) (Row, error)
	// Create writes a new row, durably, or answers ErrExists.
	Create(ctx context.Context, row Row) error
	// CompareAndSwap replaces the row of next.Key, durably, if its generation
	// and its intent's id are those of old; else it answers ErrConflict, or
	// ErrNotFound. It compares nothing else, above all no clock.
	CompareAndSwap(ctx context.Context, old Version, next Row) error
	// Delete forgets a row; one that is not there is no error.
	Delete(ctx context.Context, key Key) error
	// Each shows every row until visit answers false. Rows that come or go
	// meanwhile may be shown or not. Sealed may be left out. Without an error all
	// others were shown; where some cannot be read, that is an *Unread in the end.
	Each(ctx context.Context, visit func(Row) bool) error
	// Now is the one clock of leases. Nodes have clocks of their own.
	Now(ctx context.Context) (time.Time, error)
}

// Exclusive is what a store may offer beside: true says that no other process
// writes to it while the one vault over it is open, and that writes take effect
// in their order: one that answered an error takes effect before a later one is
// answered, or never. The vault then believes what it wrote itself, and reads
// no row again that is in use.
type Exclusive interface{ Exclusive() bool }

// Confirmer is what a store may offer beside whose server may lose what it
// shows: Confirmed reads a row like Load, and answers only what will last. A
// vault asks there whether a write took place whose answer was an error.
type Confirmer interface {
	Confirmed(ctx context.Context, key Key) (Row, error)
}

// Waker is what a store may offer beside: until stop is called, changed is told
// the key of each row that any node has changed, and of each new row of a document,
// soon afterwards. Some may get lost, and some be told twice. It only shortens
// waiting, and the time for which a vault believes what it has read; a vault polls
// all the same.
type Waker interface {
	Wake(changed func(Key)) (stop func())
}

// CatchUp is what a Waker may offer beside: it answers once changed was told of
// each change made before the call, with the number of the line on which that
// came. While the number stays the same, no change since the first answer with
// it was lost. A vault then believes what it has read for as long as it catches
// up, and reads no row again that no node has changed.
type CatchUp interface {
	CatchUp(ctx context.Context) (line uint64, err error)
}

// Copier is what a store may offer beside: Copy is the whole store as it is at one
// moment, ready to be read while the store is in use. Where one is not closed yet,
// it answers ErrCopying.
type Copier interface {
	Copy(ctx context.Context) (Copied, error)
}

// Copied is a copy of a store. Closing it gives back what it takes.
type Copied interface {
	io.ReadCloser
	Size() int64
}

// ErrCopying is what a store answers that makes one copy at a time.
var ErrCopying = errors.New("another copy is being made")

// Unread is the error of a walk that has shown all rows but for some that cannot
// be read: damaged ones, or those of a newer version.
type Unread struct {
	N     int
	First error
}

func (u *Unread) Error() string { return fmt.Sprintf("%d records were not shown: %v", u.N, u.First) }

func (u *Unread) Unwrap() error { return u.First }

// unread reports whether a walk has only left out what cannot be read.
func unread(err error) bool {
	_, ok := errors.AsType[*Unread](err)
	return ok
}
