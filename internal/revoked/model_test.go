package revoked

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

var errStore = errors.New("the store failed on purpose")

type doc struct {
	text    []byte
	version string
}

// docs is a store that fails on purpose, and that can lose what it was told last.
type docs struct {
	all   map[string]doc
	next  int
	down  bool
	fails func() (before, after bool) // of one write
}

func newDocs() *docs {
	return &docs{all: map[string]doc{}, fails: func() (before, after bool) { return false, false }}
}

func (d *docs) Read(_ context.Context, name string) ([]byte, string, error) {
	if d.down {
		return nil, "", errStore
	}
	one, has := d.all[name]
	if !has {
		return nil, "", ErrNoDocument
	}
	return slices.Clone(one.text), one.version, nil
}

func (d *docs) Write(_ context.Context, name, version string, text []byte, _ time.Time) (string, error) {
	before, after := d.fails()
	if d.down || before {
		return "", errStore
	}
	if d.all[name].version != version {
		return "", ErrChanged
	}
	d.next++
	d.all[name] = doc{slices.Clone(text), strconv.Itoa(d.next)}
	if after {
		return "", errStore
	}
	return d.all[name].version, nil
}

// lost puts back what there was at some time before, as a failover does. A version
// that comes back is given to no other text.
func (d *docs) lost(before map[string]doc) { d.all = maps.Clone(before) }

// world is some nodes over one store, and what has to be true of them.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	store *docs
	now   time.Time
	nodes []*Ledger
	tags  uint64

	stored  map[string]bool // the store said that it has it
	removed map[string]bool // the same of its end
	seen    []map[string]bool
}

func newWorld(t *testing.T, seed uint64, nodes int) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), store: newDocs(), now: time.Unix(1_800_000_000, 123_456_789),
		stored: map[string]bool{}, removed: map[string]bool{},
	}
	for range nodes {
		w.nodes = append(w.nodes, w.node())
		w.seen = append(w.seen, map[string]bool{})
	}
	return w
}

func (w *world) node() *Ledger {
	l := NewLedger(func() time.Time { return w.now }, func() uint64 { w.tags += 2; return w.tags }, nil)
	l.docs = w.store
	return l
}

func (w *world) entry(jti string) Entry {
	return Entry{Issuer: "https://login.example.com", ID: jti, Until: w.now.Add(time.Hour), Added: w.now}
}

func (w *world) found(node int, jti string) bool {
	e := w.entry(jti)
	return w.nodes[node].List.Find(&Token{Issuer: MarkOf(e.Issuer), ID: MarkOf(jti)}) != nil
}

// add tells a node, and has it write at once; or later, as when its caller has gone.
func (w *world) add(node int, jti string, write bool) {
	stored, err := w.nodes[node].take([]Entry{w.entry(jti).clipped()})
	if err != nil {
		w.t.Fatal(err)
	}
	delete(w.removed, jti)
	if !w.found(node, jti) {
		w.t.Fatalf("%s does not count where it was taken back", jti)
	}
	if stored == nil {
		w.t.Fatal("it is not stored anywhere")
	}
	if write && w.round(node) == nil && w.nodes[node].stand([]Entry{w.entry(jti).clipped()}) {
		w.stored[jti] = true
		delete(w.removed, jti)
	}
}

func (w *world) remove(node int, jti string) {
	l := w.nodes[node]
	e := w.entry(jti)
	was, err := l.Remove(w.t.Context(), &e)
	if was {
		delete(w.stored, jti)
	}
	if !was || err != nil {
		return // not done, or not known whether
	}
	name := e.what()
	for _, l := range w.nodes {
		if part := &l.parts[name.part()]; part.dirty && !new(part.records[name]).out() {
			return // one was told otherwise meanwhile, and has not written it yet
		}
	}
	w.removed[jti] = true
}

// round has a node look, and tells whether the store did all that it was asked.
func (w *world) round(node int) (failed error) {
	l := w.nodes[node]
	l.observe = func(err error) { failed = err }
	l.Round(w.t.Context(), w.store)
	if failed != nil {
		return failed
	}
	for jti := range w.stored {
		if !w.found(node, jti) {
			w.t.Fatalf("node %d has looked, and %s counts, which was taken back", node, jti)
		}
		w.seen[node][jti] = true
	}
	for jti := range w.removed {
		if w.found(node, jti) {
			w.t.Fatalf("node %d has looked, and %s is refused, which was let in again", node, jti)
		}
	}
	return nil
}

func (w *world) step() {
	node, jti := w.rng.IntN(len(w.nodes)), fmt.Sprint(w.rng.IntN(40))
	switch w.rng.IntN(12) {
	case 0, 1, 2:
		w.add(node, jti, true)
	case 3:
		w.add(node, jti, false)
	case 4:
		w.remove(node, jti)
	case 5:
		w.store.down = !w.store.down && w.rng.IntN(2) == 0
	case 6:
		w.nodes[node] = w.node() // killed: what it had not stored was not promised
	default:
		_ = w.round(node)
	}
	for node := range w.nodes {
		if w.found(node, "41") {
			w.t.Fatal("what nobody took back is refused")
		}
	}
}

// Whatever was taken back is refused by each node that has looked since, which it
// does within a second; nothing else is. Nodes write at once, sleep, forget, and are
// killed; calls of the store fail before they take effect, and after.
func TestWhatWasTakenBackIsRefusedEverywhereAndNothingElseIs(t *testing.T) {
	for seed := range uint64(150) {
		w := newWorld(t, seed, 3)
		w.store.fails = func() (before, after bool) { return w.rng.IntN(9) == 0, w.rng.IntN(9) == 0 }
		for range 150 {
			w.step()
		}
		w.store.down, w.store.fails = false, newDocs().fails
		w.converge(seed)
	}
}

// converge has every node look a few times while all is well, and then once more, when
// none has anything to write: nodes that go on correcting each other would keep out
// those that have something to say.
func (w *world) converge(seed uint64) {
	for range 3 {
		for node := range w.nodes {
			if err := w.round(node); err != nil {
				w.t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
	written := w.store.next
	for node := range w.nodes {
		if err := w.round(node); err != nil || w.store.next != written {
			w.t.Fatalf("seed %d: node %d writes what the store has: %v", seed, node, err)
		}
	}
	want := names(w.nodes[0])
	for node, l := range w.nodes {
		if got := names(l); !slices.Equal(got, want) {
			w.t.Fatalf("seed %d: node %d has %v, another one %v", seed, node, got, want)
		}
		for jti := range w.stored {
			if !w.found(node, jti) {
				w.t.Fatalf("seed %d: node %d lets %s in", seed, node, jti)
			}
		}
	}
}

func names(l *Ledger) (all []string) {
	for _, e := range l.List.Entries() {
		all = append(all, e.ID)
	}
	slices.Sort(all)
	return all
}

// A failover loses what was written last, or all. While a node that knows it is
// alive, the others know it again once they have all looked.
func TestWhatAStoreHasLostItIsToldAgain(t *testing.T) {
	for seed := range uint64(200) {
		w := newWorld(t, seed, 3)
		for i := range 20 {
			before := maps.Clone(w.store.all)
			w.add(i%3, fmt.Sprint("a", w.rng.IntN(300)), true)
			if w.rng.IntN(3) == 0 {
				for node := range w.nodes { // all know it by now
					_ = w.round(node)
				}
				if w.rng.IntN(4) == 0 {
					before = nil
				}
				w.store.lost(before)
				if w.store.all == nil {
					w.store.all = map[string]doc{}
				}
				w.nodes[w.rng.IntN(3)] = w.node() // and one begins anew
				told := w.stored
				w.stored = map[string]bool{} // for a moment a new node cannot know
				for range 2 {
					for node := range w.nodes {
						_ = w.round(node)
					}
				}
				w.stored = told
			}
		}
		w.converge(seed)
	}
}

func TestOfOneTimeTwoNodesWriteBothCount(t *testing.T) {
	w := newWorld(t, 1, 2)
	early, late := w.entry(""), w.entry("")
	early.Subject, late.Subject = "ann", "ann"
	early.Before, late.Before = w.now, w.now.Add(time.Minute)
	for node, e := range []Entry{late, early} {
		if _, err := w.nodes[node].take([]Entry{e.clipped()}); err != nil {
			t.Fatal(err)
		}
	}
	w.converge(1)
	for node, l := range w.nodes {
		token := &Token{Issuer: MarkOf(late.Issuer), Subject: MarkOf("ann"), Issued: late.Before.UnixMilli()}
		if l.List.Find(token) == nil || l.List.Len() != 1 {
			t.Errorf("node %d has the earlier moment", node)
		}
	}
}

func TestWhatHasRunOutIsForgottenOnEveryNode(t *testing.T) {
	w := newWorld(t, 1, 2)
	for i := range 50 {
		w.add(i%2, fmt.Sprint(i), true)
	}
	w.converge(1)
	w.now = w.now.Add(time.Hour + time.Second)
	clear(w.stored)
	w.converge(1)
	for node, l := range w.nodes {
		if l.List.Len() != 0 || l.count != 0 {
			t.Errorf("node %d has %d entries and %d records", node, l.List.Len(), l.count)
		}
	}
	w.add(0, "anew", true)
	w.converge(1)
}

// A node that begins, or comes back, reads the parts that it does not know, and no
// others; where nothing has changed it reads the head alone.
func TestARoundCostsWhatHasChanged(t *testing.T) {
	w := newWorld(t, 1, 2)
	for i := range 100 {
		w.add(0, fmt.Sprint(i), true)
	}
	w.converge(1)
	reads := &counting{docs: w.store}
	w.nodes[1].Round(t.Context(), reads)
	if reads.n != 1 {
		t.Errorf("%d reads where nothing has changed", reads.n)
	}
	w.add(0, "one more", true)
	reads.n = 0
	w.nodes[1].Round(t.Context(), reads)
	if reads.n != 2 || !w.found(1, "one more") {
		t.Errorf("%d reads for one change", reads.n)
	}
}

type counting struct {
	*docs
	n int
}

func (c *counting) Read(ctx context.Context, name string) ([]byte, string, error) {
	c.n++
	return c.docs.Read(ctx, name)
}

func TestAnAddThatIsNotStoredCountsHereAndSaysSo(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.store.down = true
	l := w.nodes[0]
	done := make(chan error)
	go func() { done <- l.Add(t.Context(), w.entry("1")) }()
	<-l.kick
	l.Round(t.Context(), w.store)
	var unstored *Unstored
	if err := <-done; !errors.As(err, &unstored) || !errors.Is(err, errStore) {
		t.Fatal(err)
	}
	if !w.found(0, "1") || w.found(1, "1") {
		t.Error("it does not count where it was taken back, or elsewhere too early")
	}
	w.store.down = false
	w.converge(1)
	if !w.found(1, "1") {
		t.Error("it is lost")
	}
}

func FuzzDecode(f *testing.F) {
	var tags [parts]uint64
	tags[3], tags[255] = 7, 9
	f.Add(encodeHead(&tags, time.Unix(1, 0)))
	e := Entry{Issuer: "i", Subject: "s", Before: time.Unix(1, 0), Until: time.Unix(2, 0), Reason: "r"}
	f.Add(encodePart(5, map[what]record{e.what(): {e, 2}}))
	f.Fuzz(func(t *testing.T, in []byte) {
		if tags, until, err := decodeHead(in); err == nil {
			if again, end, err := decodeHead(encodeHead(&tags, until)); err != nil || again != tags || !end.Equal(until) {
				t.Fatal(err)
			}
		}
		if tag, all, err := decodePart(in); err == nil {
			if other, again, err := decodePart(encodePart(tag, all)); err != nil || other != tag || len(again) != len(all) {
				t.Fatal(err)
			}
		}
	})
}
