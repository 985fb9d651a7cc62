package session

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// modelEar is where a node hears of what others change.
type modelEar struct {
	n       *modelNode
	changed func(Key)
	line    atomic.Uint64
}

// Wake makes a node one that others tell of what they change.
func (n *modelNode) Wake(changed func(Key)) (stop func()) {
	n.ear = &modelEar{n: n, changed: changed}
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	n.w.listen = append(n.w.listen, n.ear)
	return func() {}
}

// CatchUp is asked by requests: a node that asks all the time would make a run
// take long. It takes time in which things change.
func (e *modelEar) CatchUp(ctx context.Context) (line uint64, err error) {
	e.n.gate(ctx, time.Second/2)
	line = e.line.Load()
	e.n.gate(ctx, time.Second/2)
	return line, nil
}

// wakeSome tells of a change those who are lucky: wake-ups get lost, and who has
// lost one has another line.
func (w *world) wakeSome(ctx context.Context, key Key) {
	rnd := ctx.Value(actorKey{}).(*actor).rnd
	w.mu.Lock()
	all := slices.Clone(w.listen)
	w.mu.Unlock()
	for _, ear := range all {
		if rnd.IntN(2) == 0 {
			modelSeen.count("woken")
			ear.changed(key)
		} else {
			ear.line.Add(1)
		}
	}
}
