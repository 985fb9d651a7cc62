package session

import (
	"context"
	"errors"
	"time"
)

// saving is an outcome on its way into the store: it replaces old by row.
type saving struct {
	handle   Handle
	old      Version
	row      Row
	pair     *Grant // what the AS granted, if it did
	salvaged bool   // pair has a new RT and the old AT
	untimely error  // why the new AT is good for nothing
}

// serves reports whether the pair is the grant's. A row that ends has one only to
// give it back: it may be another user's.
func (s *saving) serves() bool { return s.pair != nil && !s.row.Dead }

func failed(out Outcome, kind Kind) bool {
	switch out := out.(type) {
	case Granted, Refused:
		return false
	case Unconsumed:
		return !out.Works
	case BadClient:
		return kind != ByRunningAgain // else it is that client's failure alone
	}
	return true
}

func retryAfter(out Outcome) time.Duration {
	if out, ok := out.(Unconsumed); ok {
		return out.RetryAfter
	}
	return 0
}

// outcome is what to write over row, whose intent is open and ours.
func (f *flight) outcome(row Row, g Grant, out Outcome, asked time.Time) *saving {
	o := &f.c.o
	s := &saving{handle: f.h, old: row.Version(), row: row}
	switch out := out.(type) {
	case Granted:
		if g.another(&out) {
			return s.foreign(o.renewed(g, out, asked))
		}
		s.renew(f.c, o.renewed(g, out, asked))
		s.row.Fails, s.row.NotBefore = 0, o.Now().Add(o.interval(s.pair.Lifetime))
		return s
	case Untimely:
		if g.another(&out.Answer) {
			return s.foreign(o.renewed(g, out.Answer, asked))
		}
		s.untimely = out.Err
		if !out.Answer.Refresh.Empty() && g.Kind == ByRefreshToken {
			g.Refresh = out.Answer.Refresh
			s.renew(f.c, g)
			s.salvaged = true
		}
		s.row.Doubts, s.row.DoubtSince = 0, time.Time{} // it answered
	case Refused:
		s.row = tombstone(row, EndedRefused)
		return s
	case BadClient:
		if g.Kind == ByRunningAgain {
			s.disown(o)
			return s
		}
	case Unknown:
		if !out.Salvaged.Empty() && g.Kind == ByRefreshToken {
			g.Refresh = out.Salvaged
			s.renew(f.c, g)
			s.salvaged = true
		} else if g.Kind == ByRefreshToken {
			s.row.Doubts = oneMore(s.row.Doubts)
			s.row.DoubtSince = row.Intent.Since
		}
	}
	if g.Kind == ByRunningAgain {
		s.row.DoubtSince = time.Time{} // another answer than that the client is unknown, or none
	}
	s.row.Intent.Open = false
	s.row.Fails = min(s.row.Fails+1, 200)
	s.row.NotBefore = o.Now().Add(max(o.pause(out, s.row.Fails), min(retryAfter(out), o.BreakerMax)))
	if s.row.Doubts == 1 && o.ReuseGrace > 0 {
		s.row.NotBefore = time.Time{} // there is little time to try again
	}
	return s
}

// A grant's own client that the AS does not know any more is revoked, or the
// AS's database fails: Ory Hydra says invalid_client then. So the grant ends
// only when the answer has stood for disownedFor, with no other one between,
// and was given some times. Six calls are enough for that.
const (
	disownedFor   = 2 * time.Minute
	disownedTimes = 3
	disownedPause = 11 * time.Second // as often as the answer was given, up to
	disownedRest  = 30 * time.Second
)

// disown notes that the AS does not know the grant's own client. Since when is
// written down, so that it counts for all nodes and after a restart.
func (s *saving) disown(o *Options) {
	row := &s.row
	if row.DoubtSince.IsZero() {
		row.DoubtSince, row.Fails = row.Intent.Since, 0
	}
	row.Fails = min(row.Fails+1, 200)
	if row.Fails >= disownedTimes && row.Intent.Since.Sub(row.DoubtSince) >= disownedFor {
		*row = tombstone(*row, EndedRefused)
		return
	}
	row.Intent.Open = false
	pause := min(time.Duration(row.Fails)*disownedPause, disownedRest)
	row.NotBefore = o.Now().Add(pause + o.jitter(pause/8))
}

// foreign ends a grant for which another user's tokens came, and keeps those
// to give them back.
func (s *saving) foreign(pair Grant) *saving {
	s.row, s.pair = tombstone(s.row, EndedSubject), &pair
	return s
}

// renew makes the row's next generation.
func (s *saving) renew(c *config, g Grant) {
	s.pair = &g
	s.row.Settled = s.row.Intent.ID
	s.row.Intent = Intent{}
	s.row.Doubts, s.row.DoubtSince = 0, time.Time{}
	s.row.Generation++
	s.row.Sealed, _ = c.ring.seal(s.handle, s.row.Generation, &g) // fails for no input
}

// tombstone is the end of a row. Its generation moves, so that every late
// compare-and-swap fails.
func tombstone(row Row, reason string) Row {
	row.Settled = row.Intent.ID
	row.Intent.Open = false
	row.Generation++
	row.Dead, row.Reason, row.Sealed, row.Note = true, reason, nil, nil
	return row
}

type written uint8

const (
	saved   written = iota
	lost            // the row went another way, which stands
	unknown         // could not ask
)

// write tries once to bring an outcome into the store. A write that the store
// made and then called failed is found again by what it left.
func (v *Vault) write(ctx context.Context, c *config, s *saving) written {
	err := v.swap(ctx, c, s.old, s.row)
	if err != nil {
		row, loadErr := v.confirmed(context.WithoutCancel(ctx), c, s.row.Key)
		there := loadErr == nil
		switch {
		case there && row.Version() == s.row.Version() && row.Settled == s.row.Settled &&
			row.Dead == s.row.Dead && !row.Intent.Open:
		case there && !row.Dead && row.Version() != s.old:
			if s.pair != nil {
				// Giving the pair back could end the whole grant at the AS, and
				// with it the outcome that stands.
				c.observe(Event{Name: EventDiscard, Sref: c.ring.Sref(row.Key), Issuer: s.pair.Issuer})
			}
			return lost
		case there && row.Dead && row.Reason == EndedReplaced:
			return lost // the newer log-in may be the same grant at the AS
		case there && row.Dead, errors.Is(loadErr, ErrNotFound):
			v.giveBack(ctx, c, s.pair)
			return lost
		default:
			c.observe(Event{Name: EventSaveError, Sref: c.ring.Sref(s.row.Key), Err: errors.Join(err, loadErr)})
			return unknown
		}
	}
	if s.row.Dead {
		c.ended(&s.row)
		v.giveBack(ctx, c, s.pair)
	}
	return saved
}

// keepSaving goes on writing until the store has taken the outcome, or another
// one. Until then this node serves the pair from memory.
func (v *Vault) keepSaving(ctx context.Context, c *config, s *saving) {
	v.mu.Lock()
	v.unsaved[s.row.Key] = s
	v.savings.Store(int32(len(v.unsaved))) //nolint:gosec // no more than flights
	v.mu.Unlock()
	// A flight is under way, so no shutdown waits for zero yet
	v.work.Go(func() {
		defer func() {
			v.mu.Lock()
			defer v.mu.Unlock()
			if v.unsaved[s.row.Key] == s {
				delete(v.unsaved, s.row.Key)
				v.savings.Store(int32(len(v.unsaved))) //nolint:gosec // no more than flights
			}
		}()
		for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
			timer := time.NewTimer(pause + c.o.jitter(pause/2))
			select {
			case <-timer.C:
			case <-v.base.Done():
				timer.Stop()
				return
			}
			if v.write(ctx, c, s) != unknown {
				return
			}
		}
	})
}

// giveBack hands tokens to the AS that will not be used.
func (v *Vault) giveBack(ctx context.Context, c *config, g *Grant) {
	if g == nil || c.o.Revoke == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.o.TokenTimeout)
	defer cancel()
	c.o.Revoke(ctx, *g)
}
