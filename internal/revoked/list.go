package revoked

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Full is the error of a list that takes no more entries. It never forgets one
// for another.
type Full struct{ Most int }

func (f *Full) Error() string {
	return fmt.Sprintf("the list of what was taken back is full: it has %d entries", f.Most)
}

// DefaultMost bounds the entries of a list.
const DefaultMost = 100_000

// shards are what an index is copied in when it changes: who reads waits for
// nobody.
const shards = 64

// List is what was taken back, as one process knows it. The zero List is empty.
type List struct {
	kinds atomic.Uint32 // a bit for each kind that some entry is of; 0: there is none
	index [shards]atomic.Pointer[map[uint64][]*indexed]

	mu       sync.Mutex
	most     int // 0: DefaultMost
	known    map[what]*indexed
	ofKind   [kinds]int
	watchers map[int]func(Entry)
	next     int
}

// indexed is an entry of a list. It does not change; another takes its place.
type indexed struct {
	Entry
	marks marks
}

// An entry is found by the first of these that it names.
const (
	byID = iota
	bySession
	bySubject
	byClient
	byIssuer
	kinds
)

func (t *Token) kind() int {
	switch {
	case t.ID != 0:
		return byID
	case t.Session != 0:
		return bySession
	case t.Subject != 0:
		return bySubject
	case t.Client != 0:
		return byClient
	}
	return byIssuer
}

// place is where entries of a kind stand that name what the token has. Those of
// other texts may stand there, too.
func (t *Token) place(kind int) uint64 {
	name := [kinds]Mark{t.ID, t.Session, t.Subject, t.Client, 0}[kind]
	return bits.RotateLeft64(uint64(t.Issuer), 7*kind+7) ^ uint64(name)
}

// SetMost bounds the entries. Those that are there stay.
func (l *List) SetMost(most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = most
}

// Len is how many entries there are.
func (l *List) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.known)
}

// Find answers an entry that covers t, or nil. It waits for nobody, and allocates
// nothing; what it answers must not be changed.
func (l *List) Find(t *Token) *Entry {
	present := l.kinds.Load()
	if present == 0 {
		return nil
	}
	for kind := range kinds {
		if present&(1<<kind) == 0 {
			continue
		}
		place := t.place(kind)
		shard := l.index[place%shards].Load()
		if shard == nil {
			continue
		}
		for _, one := range (*shard)[place] {
			if one.marks.cover(t) {
				return &one.Entry
			}
		}
	}
	return nil
}

// Add takes an entry in. Of two that name the same the later Before and Until
// count. It is an error where the entry is not whole, and a *Full.
func (l *List) Add(e Entry) error {
	if err := e.Check(); err != nil {
		return fmt.Errorf("taking back: %w", err)
	}
	l.mu.Lock()
	old := l.known[e.what()]
	if old == nil && len(l.known) >= l.limit() {
		l.mu.Unlock()
		return &Full{l.limit()}
	}
	more := true
	if old != nil {
		e, more = widened(old.Entry, e)
	}
	if more {
		l.set(e.clipped())
	}
	tell := l.told()
	l.mu.Unlock()
	if more {
		for _, watch := range tell {
			watch(e)
		}
	}
	return nil
}

func (l *List) limit() int {
	if l.most == 0 {
		return DefaultMost
	}
	return l.most
}

// Remove takes an entry out that names the same as e, and reports whether there
// was one.
func (l *List) Remove(e *Entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.drop(e.what())
}

// Expire takes those out whose last token has run out.
func (l *List) Expire(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var over []change
	for name, one := range l.known {
		if now.After(one.Until) {
			delete(l.known, name)
			over = append(over, change{one, nil})
		}
	}
	l.show(over)
}

// Entries are all there are, the one that was added last first.
func (l *List) Entries() []Entry {
	l.mu.Lock()
	all := make([]Entry, 0, len(l.known))
	for _, one := range l.known {
		all = append(all, one.Entry)
	}
	l.mu.Unlock()
	slices.SortFunc(all, func(a, b Entry) int { return b.Added.Compare(a.Added) })
	return all
}

// Watch has told told of each entry that is new, or covers more than before, once
// it is found, until stop is called. It may be told by several at once, and must
// not block. What asks Find after it has begun to watch misses nothing.
func (l *List) Watch(told func(Entry)) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers == nil {
		l.watchers = map[int]func(Entry){}
	}
	l.next++
	id := l.next
	l.watchers[id] = told
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.watchers, id)
	}
}

func (l *List) told() (all []func(Entry)) {
	for _, watch := range l.watchers {
		all = append(all, watch)
	}
	return all
}

// set puts an entry in the place of the one that names the same.
func (l *List) set(e Entry) {
	name := e.what()
	one := &indexed{e, marksOf(&e)}
	if l.known == nil {
		l.known = map[what]*indexed{}
	}
	old := l.known[name]
	l.known[name] = one
	l.show([]change{{old, one}})
}

func (l *List) drop(name what) bool {
	old := l.known[name]
	if old == nil {
		return false
	}
	delete(l.known, name)
	l.show([]change{{old, nil}})
	return true
}

// change has the index show one instead of old; either may be nil.
type change struct{ old, one *indexed }

// show changes the index, and copies no part of it twice.
func (l *List) show(all []change) {
	copies := map[uint64]map[uint64][]*indexed{}
	for _, c := range all {
		some := c.one
		if some == nil {
			some = c.old
		}
		kind := some.marks.kind()
		place := some.marks.place(kind)
		shard := copies[place%shards]
		if shard == nil {
			shard = map[uint64][]*indexed{}
			if now := l.index[place%shards].Load(); now != nil {
				maps.Copy(shard, *now)
			}
			copies[place%shards] = shard
		}
		there := slices.DeleteFunc(slices.Clone(shard[place]), func(x *indexed) bool { return x == c.old })
		if c.one != nil {
			there = append(there, c.one)
			l.ofKind[kind]++
		}
		if c.old != nil {
			l.ofKind[kind]--
		}
		if shard[place] = there; len(there) == 0 {
			delete(shard, place)
		}
	}
	for at, shard := range copies {
		l.index[at].Store(&shard)
	}
	var present uint32
	for kind, n := range l.ofKind {
		if n > 0 {
			present |= 1 << kind
		}
	}
	l.kinds.Store(present)
}
