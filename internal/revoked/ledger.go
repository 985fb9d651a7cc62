package revoked

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// What Documents answer. Any other error means that it is not known.
var (
	ErrNoDocument = errors.New("no such document")
	ErrChanged    = errors.New("the document has changed meanwhile")
)

// Documents keep texts under names, for one node or for many.
type Documents interface {
	// Read answers a text and its version, or ErrNoDocument.
	Read(ctx context.Context, name string) (text []byte, version string, err error)
	// Write replaces the text of this version, or makes a new one where version is
	// "", durably, or answers ErrChanged. It may be forgotten after until.
	Write(ctx context.Context, name, version string, text []byte, until time.Time) (next string, err error)
}

// Head is the name of the document that each change writes last.
const Head = "revoked/head"

// The pace of a ledger.
const (
	pollEach   = 400 * time.Millisecond // of the head: changes are seen within a second
	roundTakes = 5 * time.Second        // at most
	mostTries  = 8                      // of a round, while others write too
	keepBeyond = time.Minute            // Until, for clocks that differ
	expireEach = 5 * time.Second
)

// Ledger keeps a [List] in a store, and the same on every node. What a node knows
// it keeps while the store does not answer, and writes as soon as it does. What a
// store has lost, it is told again.
type Ledger struct {
	List List

	now     func() time.Time
	drawn   func() uint64 // a tag for a new writing
	observe func(error)   // of each round; nil: nobody looks

	read  atomic.Bool // everything there is in the store was read once
	alone atomic.Bool // there is no store
	kick  chan struct{}

	rounds sync.Mutex // held by who speaks to the store; before mu

	mu      sync.Mutex
	docs    Documents     // nil: there is no store, or it is not open
	opened  chan struct{} // closed while docs is set
	follows int           // how often it was followed: the last one counts
	parts   [parts]partState
	count   int // records of all parts
	waiting []chan error

	nextExpiry time.Time
}

// partState is what a node knows of a part.
type partState struct {
	records map[what]record
	tag     uint64 // of the writing that was read or written last; 0: none
	dirty   bool   // records hold what that writing does not
	changes uint64 // of records by this node
	asked   bool   // whether it holds what somebody waits for
}

// NewLedger makes a ledger of a store that is not open, until it is followed.
func NewLedger(now func() time.Time, drawn func() uint64, observe func(error)) *Ledger {
	return &Ledger{now: now, drawn: drawn, observe: observe, kick: make(chan struct{}, 1), opened: make(chan struct{})}
}

// ErrNotOpen is why something is not stored before the store was opened.
var ErrNotOpen = errors.New("the store is not open")

// Unstored is the error of what counts on this node, and is not stored yet. It is
// stored as soon as the store answers.
type Unstored struct{ Err error }

func (u *Unstored) Error() string {
	return fmt.Sprintf("it counts on this node, and on others once the store takes it: %v", u.Err)
}
func (u *Unstored) Unwrap() error { return u.Err }

// Add takes entries in, and answers when every node will know them within a
// second. An error is of an entry that is not whole, a *Full, or an *Unstored.
func (l *Ledger) Add(ctx context.Context, all ...Entry) error {
	kept := make([]Entry, len(all))
	for i := range all {
		if err := all[i].Check(); err != nil {
			return fmt.Errorf("taking back: %w", err)
		}
		kept[i] = all[i].clipped()
	}
	for range mostTries {
		stored, err := l.take(kept)
		if err != nil || stored == nil {
			return err
		}
		if err := l.wait(ctx, stored); err != nil {
			return &Unstored{err}
		}
		if l.stand(kept) { // and no other node had taken one out, which this one did not know
			return nil
		}
	}
	return &Unstored{errors.New("it is taken out again and again")}
}

// take has the node know entries. stored tells how the next round ends; nil: there
// is no store.
func (l *Ledger) take(all []Entry) (stored chan error, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var changed []what
	defer func() { l.apply(changed) }()
	for _, e := range all {
		name := e.what()
		part := &l.parts[name.part()]
		old, known := part.records[name]
		if !known && l.count >= l.List.Most() {
			return nil, &Full{l.List.Most()}
		}
		next := record{e, old.turn}
		switch {
		case old.out():
			next.turn++
		case known:
			next = merge(old, next)
		}
		part.asked = true
		if !known || !next.same(&old) {
			l.put(part, name, next)
			part.change()
			changed = append(changed, name)
		}
	}
	return l.pending(), nil
}

// stand reports whether all that entries cover is in the list.
func (l *Ledger) stand(all []Entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range all {
		name := e.what()
		r, known := l.parts[name.part()].records[name]
		if !known || r.out() {
			return false
		}
		if _, more := widened(r.Entry, e); more {
			return false
		}
	}
	return true
}

// Remove takes the entry out that names the same as e, and reports whether there
// was one. Unlike what is added, an end that the store does not take is none: it
// could take out later what is added meanwhile.
func (l *Ledger) Remove(ctx context.Context, e *Entry) (was bool, err error) {
	l.rounds.Lock()
	defer l.rounds.Unlock()
	l.mu.Lock()
	docs := l.docs
	l.mu.Unlock()
	switch {
	case docs == nil && !l.alone.Load():
		return false, wrap("letting in again", ErrNotOpen)
	case docs != nil:
		if err := l.reach(ctx, docs); err != nil {
			return false, wrap("letting in again", err)
		}
	}
	name := e.what()
	l.mu.Lock()
	part := &l.parts[name.part()]
	old, known := part.records[name]
	if known = known && !old.out(); known {
		next := old
		next.turn++
		l.put(part, name, next)
		part.change()
		if docs == nil {
			l.apply([]what{name})
		}
	}
	l.mu.Unlock()
	if !known || docs == nil {
		return known, nil
	}
	err = l.reach(ctx, docs)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && part.records[name].turn == old.turn+1 {
		part.records[name], part.asked = old, true // if the store took it all the same, the next round reads so
	}
	l.apply([]what{name})
	return true, wrap("letting in again", err)
}

func (p *partState) change() {
	p.dirty = true
	p.changes++
}

// put is called with the lock held, as are the next two.
func (l *Ledger) put(part *partState, name what, r record) {
	if part.records == nil {
		part.records = map[what]record{}
	}
	if _, known := part.records[name]; !known {
		l.count++
	}
	part.records[name] = r
}

// apply has the list show what the records say.
func (l *Ledger) apply(names []what) {
	var in []Entry
	var gone []what
	for _, name := range names {
		if r, known := l.parts[name.part()].records[name]; known && !r.out() {
			in = append(in, r.Entry)
		} else {
			gone = append(gone, name)
		}
	}
	if len(names) > 0 {
		l.List.replaceAll(in, gone)
	}
}

// pending is where the end of the next round is told, if there is a store.
func (l *Ledger) pending() chan error {
	if l.alone.Load() {
		return nil
	}
	stored := make(chan error, 1)
	if l.docs == nil {
		stored <- ErrNotOpen // the first round will write it
		return stored
	}
	l.waiting = append(l.waiting, stored)
	l.Wake()
	return stored
}
