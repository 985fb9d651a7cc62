package revoked

import (
	"maps"
	"math/bits"
	"slices"
)

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

// replaceAll has the list show entries as they are written, and others no more.
func (l *List) replaceAll(entries []Entry, gone []what) {
	l.mu.Lock()
	var all []change
	var news []Entry
	for _, e := range entries {
		old := l.known[e.what()]
		if old == nil {
			news = append(news, e)
		} else if _, more := widened(old.Entry, e); more {
			news = append(news, e)
		}
		all = append(all, l.put(e))
	}
	for _, name := range gone {
		if old := l.known[name]; old != nil {
			delete(l.known, name)
			all = append(all, change{old, nil})
		}
	}
	l.show(all)
	tell := l.told()
	l.mu.Unlock()
	for _, e := range news {
		for _, watch := range tell {
			watch(e)
		}
	}
}

// set puts an entry in the place of the one that names the same.
func (l *List) set(e Entry) { l.show([]change{l.put(e)}) }

func (l *List) put(e Entry) change {
	name := e.what()
	one := &indexed{e, marksOf(&e)}
	if l.known == nil {
		l.known = map[what]*indexed{}
	}
	old := l.known[name]
	l.known[name] = one
	return change{old, one}
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
