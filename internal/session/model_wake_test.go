package session

import (
	"context"
	"slices"
)

// Wake makes a node one that others tell of what they change.
func (n *modelNode) Wake(changed func(Key)) (stop func()) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	n.w.listen = append(n.w.listen, changed)
	return func() {}
}

// wakeSome tells of a change those who are lucky: wake-ups get lost.
func (w *world) wakeSome(ctx context.Context, key Key) {
	rnd := ctx.Value(actorKey{}).(*actor).rnd
	w.mu.Lock()
	all := slices.Clone(w.listen)
	w.mu.Unlock()
	for _, changed := range all {
		if rnd.IntN(2) == 0 {
			modelSeen.count("woken")
			changed(key)
		}
	}
}
