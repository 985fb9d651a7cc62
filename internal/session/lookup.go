package session

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"
)

// view is a row that its handle has opened.
type view struct {
	row     Row
	grant   Grant
	unsaved bool
	at      time.Time // when it was looked at
}

func (w *view) access() Access {
	g := &w.grant
	return Access{
		Token: g.AccessToken, Expiry: g.Expiry, Created: g.Created, End: g.End, Scope: g.Scope, Lost: g.Lost, Subject: g.Subject,
		Issuer: g.Issuer, Client: g.Client, App: g.App, Made: g.Made, Key: w.row.Key, User: w.row.User, Unsaved: w.unsaved,
	}
}

// look reads and opens the handle's row, and ends it if its time has come. What
// was read within staleMost will do, unless it is to be read anew: by a caller that
// decides more than whether a live token may be served.
func (v *Vault) look(ctx context.Context, c *config, h Handle, anew bool) (view, error) {
	key, began := h.Key(), c.o.Now()
	kept, writes := v.cache.get(key)
	known := v.cache.stands(kept, began) && (!anew || v.cache.alone)
	var row Row
	var err error
	if known {
		row = kept.row
	} else {
		row, err = v.load(ctx, c, key)
	}
	s := v.savingOf(h)
	var w view
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && (row.Dead || row.Purpose != ForGrant):
		v.cache.drop(key)
		if err == nil && row.Dead && row.Reason == EndedReplaced {
			return view{}, ErrReplaced
		}
		return view{}, ErrNoGrant
	case err != nil && s == nil:
		return view{}, &Unavailable{time.Second, fmt.Errorf("reading a record: %w", err)}
	case err != nil:
		w = view{row: s.row, grant: *s.pair, unsaved: true}
	case s != nil && row.Version() == s.old:
		w = view{row: row, grant: *s.pair, unsaved: true}
	case kept.fits(c, h, &row):
		if !known {
			v.cache.keep(&opened{row: row, grant: kept.grant, secret: kept.secret, ring: c.ring, read: began}, writes)
		}
		w = view{row: row, grant: kept.grant}
	default:
		grant, err := c.ring.open(h, row.Generation, row.Sealed)
		if errors.Is(err, errShut) {
			return view{}, ErrNoGrant
		}
		if err != nil {
			return view{}, &Unavailable{time.Minute, err}
		}
		w = v.keepOpen(&opened{row: row, grant: grant, secret: h.parts().secret, ring: c.ring, read: began}, writes)
	}
	if w.at = began; !known {
		w.at = c.o.Now()
	}
	reason := ""
	if !w.at.Before(w.grant.End) {
		reason = EndedMax
	} else if !w.at.Before(w.row.LastUsed.Add(c.o.Idle)) {
		reason = EndedIdle
	}
	if reason != "" && known && !v.cache.alone {
		return v.look(ctx, c, h, true) // another node may have used it
	}
	if reason != "" {
		v.mark(ctx, c, tombstone(w.row, reason), w.row.Version())
		return view{}, ErrNoGrant
	}
	return w, nil
}

// keepOpen keeps a grant that was just opened, with room for what is made of it.
func (v *Vault) keepOpen(o *opened, writes uint64) view {
	o.grant.Made = new(Made)
	v.cache.keep(o, writes)
	return view{row: o.row, grant: o.grant}
}

// savingOf finds a pair that this node holds and the store does not.
func (v *Vault) savingOf(h Handle) *saving {
	if v.savings.Load() == 0 {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.unsaved[h.Key()]
	if s == nil || !s.serves() || subtle.ConstantTimeCompare(s.handle.parts().secret[:], h.parts().secret[:]) != 1 {
		return nil
	}
	return s
}

// saves reports whether this node knows an outcome that the store has not taken,
// nor said that another one stands.
func (v *Vault) saves(key Key) bool {
	if v.savings.Load() == 0 {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.unsaved[key] != nil
}

func (c *config) shift(key Key) byte { return key[0] ^ c.o.Node[0] }

func (c *config) phase(w *view, now time.Time) phase {
	return c.o.phase(&w.grant, c.shift(w.row.Key), now)
}

// used writes down that a grant is in use, at most every tenth of Idle. No node
// writes to a row with an open intent but its owner.
func (v *Vault) used(ctx context.Context, c *config, w *view) {
	if w.unsaved || w.row.Intent.Open || w.at.Sub(w.row.LastUsed) < c.o.Idle/10 {
		return
	}
	next := w.row
	next.LastUsed = w.at
	v.mark(ctx, c, next, w.row.Version())
}

// mark writes in the background what may as well get lost.
func (v *Vault) mark(ctx context.Context, c *config, next Row, old Version) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, busy := v.marking[next.Key]; busy || v.closed {
		return
	}
	v.marking[next.Key] = struct{}{}
	v.work.Go(func() {
		defer func() {
			v.mu.Lock()
			delete(v.marking, next.Key)
			v.mu.Unlock()
		}()
		if err := v.swap(ctx, c, old, next); err == nil && next.Dead {
			c.ended(&next)
		}
	})
}
