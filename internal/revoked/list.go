package revoked

import (
	"fmt"
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

// SetMost bounds the entries. Those that are there stay.
func (l *List) SetMost(most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = most
}

// Most is how many entries there may be.
func (l *List) Most() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit()
}

// Len is how many entries there are.
func (l *List) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.known)
}

// Empty reports whether there is no entry at all.
func (l *List) Empty() bool { return l.kinds.Load() == 0 }

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

// Watch tells the function of each entry that is new, or covers more than before, once
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
