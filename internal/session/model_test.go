package session

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	modelSeed = flag.Uint64("seed", 0, "run the model with this seed alone, and tell its story")
	modelRuns = flag.Int("runs", 2500, "number of the model's runs")
)

// The model: nodes that crash at every step and sleep past their leases, on one
// store whose answers get lost, before an AS that is strict, slow and
// unreliable. Several at once, or one after the other, with a store of their own.
// A grant is renewed by RTs or by running it again. Each run is made from its
// seed alone: every step has an instant of its own, whatever Go runs first.
//
//	go test ./internal/session -run Model -runs 100000
//	go test ./internal/session -run Model -seed 17 -v
func TestModel(t *testing.T) {
	if *modelSeed != 0 {
		for _, line := range runModel(t, *modelSeed, nil) {
			t.Log(line)
		}
		return
	}
	var seeds, done atomic.Uint64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for !t.Failed() {
				seed := seeds.Add(1)
				if seed > uint64(*modelRuns) {
					return
				}
				runModel(t, seed, nil)
				done.Add(1)
			}
		})
	}
	all.Wait()
	t.Logf("%d runs", done.Load())
	t.Log(modelSeen.String())
}

// A seed's story is the same each time: else it could not be told again.
func TestModelIsMadeFromItsSeedAlone(t *testing.T) {
	for seed := uint64(1); seed <= 60; seed++ {
		first := fmt.Sprint(runModel(t, seed, nil))
		for range 5 {
			if again := fmt.Sprint(runModel(t, seed, nil)); again != first {
				t.Fatalf("seed %d tells two stories:\n%s\n%s", seed, first, again)
			}
		}
	}
}

// seen counts what the runs met, as a proof that the model goes everywhere.
type seen struct {
	mu sync.Mutex
	n  map[string]int
}

var modelSeen = seen{n: map[string]int{}}

func (s *seen) count(what string) { s.mu.Lock(); s.n[what]++; s.mu.Unlock() }
func (s *seen) String() string    { s.mu.Lock(); defer s.mu.Unlock(); return fmt.Sprint(s.n) }

// world is one run.
type world struct {
	t      *testing.T
	seed   uint64
	rnd    *rand.Rand // of the driver alone
	start  time.Time
	o      Options
	ring   *Keyring
	inner  Store
	as     *modelAS
	nodes  []*modelNode
	h      Handle
	alone  bool // one node at a time, which believes what it wrote itself
	finds  bool // by indexes; else the store is walked
	kind   Kind
	client modelClient

	mu       sync.Mutex
	story    []string
	durable  map[string]bool // ATs that the store has held
	calm     bool            // no faults any more
	mishaps  int             // deaths, sleeps
	faults   int             // of the store
	wished   bool            // its holder or an operator wanted to end the grant
	endedAt  time.Time       // when a wish to end the grant was granted
	saved    string          // the RT that the store holds
	disowned bool            // the grant ended, since the AS did not know its own client
	actors   uint64
	listen   []*modelEar
	requests sync.WaitGroup
}

func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, fmt.Sprintf("%12v ", time.Since(w.start))+fmt.Sprintf(format, args...))
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t.Errorf("seed %d at %v: %s", w.seed, time.Since(w.start), fmt.Sprintf(format, args...))
	for _, line := range w.story {
		w.t.Log(line)
	}
	w.story = nil
}

// actor is a request and all that it sets off. Its steps are taken one after
// the other, so it has a source of chance of its own.
type actor struct {
	id  uint64
	rnd *rand.Rand
}

type actorKey struct{}

func (w *world) actor(ctx context.Context) (context.Context, *actor) {
	w.actors++
	a := &actor{w.actors, rand.New(rand.NewPCG(w.seed, w.actors))}
	return context.WithValue(ctx, actorKey{}, a), a
}

// modelNode is a process.
type modelNode struct {
	w       *world
	number  int
	vault   *Vault
	ear     *modelEar
	mu      sync.Mutex
	crashed bool
	asleep  time.Time // until when
}

// sleepUntil ends on an instant that no other actor has, at or after at.
func (a *actor) sleepUntil(at time.Time) {
	const grid = 1 << 20 // ns
	time.Sleep(time.Until(at.Truncate(grid).Add(grid + time.Duration(a.id)*64)))
}

// gate is where a step begins: time passes, the node may sleep or have died.
// Each actor's steps fall on instants that no other has.
func (n *modelNode) gate(ctx context.Context, most time.Duration) *actor {
	a := ctx.Value(actorKey{}).(*actor)
	at := time.Now().Add(time.Duration(a.rnd.Int64N(int64(most))))
	for {
		a.sleepUntil(at)
		n.mu.Lock()
		crashed, asleep := n.crashed, n.asleep
		n.mu.Unlock()
		if crashed {
			runtime.Goexit()
		}
		if !asleep.After(time.Now()) {
			return a
		}
		at = asleep
	}
}

func (n *modelNode) up() bool { n.mu.Lock(); defer n.mu.Unlock(); return !n.crashed }

// mishap decides at a step whether the node dies or falls asleep there.
func (n *modelNode) mishap(ctx context.Context, a *actor, step string) {
	if n.w.isCalm() {
		return
	}
	roll := a.rnd.IntN(1000)
	if roll < 27 {
		n.w.mu.Lock()
		n.w.mishaps++
		n.w.mu.Unlock()
	}
	switch {
	case roll < 12:
		n.w.tell("node %d dies at %s", n.number, step)
		modelSeen.count("death at " + step)
		n.mu.Lock()
		n.crashed = true
		n.mu.Unlock()
		runtime.Goexit()
	case roll < 27:
		long := time.Duration(1+a.rnd.IntN(40)) * time.Second
		n.w.tell("node %d sleeps %v at %s", n.number, long, step)
		modelSeen.count("sleep at " + step)
		n.mu.Lock()
		n.asleep = time.Now().Add(long)
		n.mu.Unlock()
		n.gate(ctx, time.Millisecond)
	}
}

func (w *world) isCalm() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.calm }

var errModelStore = errors.New("the store does not answer")

// step surrounds one call of the store: it may fail before or after it took
// effect, and the node may die or sleep on both sides.
func (n *modelNode) step(ctx context.Context, name string, do func() error) error {
	if ctx.Value(actorKey{}) == nil { // before the run begins, or behind it
		return do()
	}
	a := n.gate(ctx, 20*time.Millisecond)
	n.mishap(ctx, a, "before "+name)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	roll := 100
	if !n.w.isCalm() {
		roll = a.rnd.IntN(100)
	}
	if roll < 6 {
		n.w.mu.Lock()
		n.w.faults++
		n.w.mu.Unlock()
	}
	if roll < 3 {
		modelSeen.count("fails before " + name)
		n.w.tell("node %d: the store fails before %s", n.number, name)
		return errModelStore
	}
	err := do()
	n.gate(ctx, 20*time.Millisecond)
	n.mishap(ctx, a, "after "+name)
	if roll < 6 {
		modelSeen.count("fails after " + name)
		n.w.tell("node %d: the store fails after %s", n.number, name)
		return errModelStore
	}
	return err
}

// The node is a store: the shared one, behind steps.

func (n *modelNode) Load(ctx context.Context, key Key) (row Row, err error) {
	err = n.step(ctx, "load", func() (err error) { row, err = n.w.inner.Load(ctx, key); return err })
	return row, err
}

func (n *modelNode) Create(ctx context.Context, row Row) error { return n.w.inner.Create(ctx, row) }

func (n *modelNode) CompareAndSwap(ctx context.Context, old Version, next Row) error {
	name := "save"
	switch {
	case next.Purpose == ForFamily:
		name = "rotation"
	case next.Dead:
		name = "end"
	case next.Intent.Open:
		name = "intent"
	case next.Generation == old.Generation:
		name = "close"
	}
	return n.step(ctx, name, func() error {
		err := n.w.inner.CompareAndSwap(ctx, old, next)
		n.w.tell("node %d: %s of generation %d: %v %s", n.number, name, old.Generation, err, next.Reason)
		if err == nil && !next.Dead && next.Purpose == ForGrant {
			g, err := n.w.ring.open(n.w.h, next.Generation, next.Sealed)
			if err != nil {
				n.w.fail("what was saved does not open: %v", err)
			}
			n.w.mu.Lock()
			n.w.durable[g.AccessToken.Reveal()] = true
			before := n.w.saved
			n.w.saved = g.Refresh.Reveal()
			n.w.mu.Unlock()
			if next.Generation != old.Generation {
				n.w.as.saved(before, g.Refresh.Reveal())
			}
		}
		if err == nil {
			n.w.as.ended(&next)
			n.w.wakeSome(ctx, next.Key)
		}
		return err
	})
}
