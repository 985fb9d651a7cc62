package session

import (
	"context"
	"errors"
	"sync"
	"time"
)

// modelClient is honest: it holds one refresh token at a time, presents it
// until it has a successor, also twice at once, and uses the successor when
// nothing of the old one is under way any more.
type modelClient struct {
	w *world

	mu      sync.Mutex
	text    string
	since   time.Time // first presented
	next    string    // the successor, when a client has got it
	pending int       // presentations under way
	lost    bool
}

// begin gives the grant a family, which the seed makes too.
func (c *modelClient) begin(w *world) {
	c.w = w
	p := *w.h.parts()
	p.lookup[lookupSize-1] = 1
	f := family{refresh: refresh{family: handleOf(&p)}, grant: w.h}
	now := time.Now()
	f.row = Row{Key: f.key(), Generation: 1, Purpose: ForFamily, Created: now, LastUsed: now, Until: now.Add(12 * time.Hour)}
	if err := errors.Join(f.seal(w.ring), w.inner.Create(context.Background(), f.row)); err != nil {
		w.fail("%v", err)
	}
	first, err := f.last(w.ring)
	if err != nil {
		w.fail("%v", err)
	}
	c.text = first.Reveal()
}

// observe is Options.Observe: an honest client is never told to be a thief.
func (c *modelClient) observe(e Event) {
	if e.Name == EventReuse {
		c.w.fail("an honest client's token is called used twice")
	}
}

func (c *modelClient) present(w *world, n *modelNode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost {
		return
	}
	if c.pending == 0 && c.next != "" {
		c.text, c.next, c.since = c.next, "", time.Time{}
	}
	if c.since.IsZero() {
		c.since = time.Now()
	}
	c.pending++
	text := c.text
	ctx, a := w.actor(context.Background())
	outside, _ := w.actor(context.Background())
	w.requests.Go(func() {
		defer func() { c.mu.Lock(); c.pending--; c.mu.Unlock() }() // also if the node dies
		n.gate(outside, time.Second)
		_, _, next, err := n.vault.Rotate(ctx, text)
		at := time.Now()
		n.gate(outside, time.Millisecond)
		w.tell("client %d at node %d rotates: %v", a.id, n.number, err)
		c.judge(w, text, next.Reveal(), err, at)
	})
}

func (c *modelClient) judge(w *world, text, next string, err error, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ours := errors.AsType[*Unavailable](err)
	switch {
	case ours:
		modelSeen.count("rotation unavailable")
	case errors.Is(err, ErrNoGrant):
		modelSeen.count("rotation refused")
		c.lost = true
		if row, err := w.inner.Load(context.Background(), w.h.Key()); err != nil || row.Dead || at.Sub(c.since) > time.Minute {
			return
		}
		w.fail("a refresh token is refused that was presented %v ago first, and the grant lives", at.Sub(c.since))
	case err != nil:
		w.fail("rotating: %v", err)
	case next == text || c.next != "" && c.next != next:
		w.fail("a refresh token has two successors, or is its own")
	default:
		modelSeen.count("rotated")
		c.next = next
	}
}
