package session

import (
	"context"
	"errors"
	"time"
)

// renewBehind starts a flight that no request waits for, if it would ask.
func (v *Vault) renewBehind(ctx context.Context, c *config, h Handle, w *view) {
	now := c.o.Now()
	if next, _, _ := c.o.plan(&w.row, &w.grant, now, now); w.unsaved || v.saves(h.Key()) || next != present {
		v.used(ctx, c, w)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.flights[h.Key()] == nil && !v.closed {
		v.launch(ctx, c, h)
	}
}

// wait joins the flight of a record, or starts it.
func (v *Vault) wait(ctx context.Context, c *config, h Handle, g *Grant, patience time.Duration) (Access, error) {
	f, err := v.join(ctx, c, h, g)
	if err != nil {
		return Access{}, err
	}
	return v.await(ctx, c, f, g.Issuer, patience)
}

// await is one of those who have joined a flight.
func (v *Vault) await(ctx context.Context, c *config, f *flight, issuer string, patience time.Duration) (a Access, err error) {
	began := c.o.Now()
	defer func() {
		v.mu.Lock()
		f.waiters--
		if v.waiters[f.at]--; v.waiters[f.at] == 0 {
			delete(v.waiters, f.at)
		}
		v.mu.Unlock()
		c.observe(Event{Name: EventWait, Issuer: issuer, Detail: waited(err), Took: c.o.Now().Sub(began)})
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-f.done:
		return f.access, f.err
	case <-timer.C:
		return Access{}, &Unavailable{time.Second, errors.New("the renewal takes too long")}
	case <-ctx.Done():
		return Access{}, ctx.Err()
	}
}

// join counts one more waiter, and starts a flight if there is none. Those who
// wait for one server, which may hang, are no matter to those of another.
func (v *Vault) join(ctx context.Context, c *config, h Handle, g *Grant) (*flight, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.joinLocked(ctx, c, h, g)
}

func (v *Vault) joinLocked(ctx context.Context, c *config, h Handle, g *Grant) (*flight, error) {
	f, at := v.flights[h.Key()], c.o.Authority(g)
	switch {
	case v.closed && f == nil:
		return nil, &Unavailable{time.Second, errors.New("shutting down")}
	case v.waiters[at] >= c.o.Waiters || f != nil && f.waiters >= c.o.WaitersPerRecord:
		return nil, &Unavailable{time.Second, errors.New("too many requests wait already")}
	case f == nil:
		f = v.launch(ctx, c, h)
	}
	f.waiters++
	f.at = at
	v.waiters[at]++
	return f, nil
}

func waited(err error) string {
	if _, ours := errors.AsType[*Unavailable](err); ours {
		return WaitUnavailable
	}
	switch {
	case err == nil:
		return WaitServed
	case errors.Is(err, ErrNoGrant):
		return WaitNoGrant
	}
	return WaitLeft
}
