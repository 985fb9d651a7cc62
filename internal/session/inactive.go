package session

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"
)

// ErrLast is a verdict: after this AT of the grant no other will come now.
var ErrLast = errors.New("no other access token will come now")

// ErrYoung is an ErrLast: the AT has just come by a renewal, and the next one
// has to wait.
var ErrYoung = fmt.Errorf("%w: this one has just come", ErrLast)

// After answers the AT that comes after one of the handle's grant of which its
// AS says that it is not active, or has run out, before its time.
//
// Many servers end the old AT when they rotate the RT, and so before the new
// pair is here: if a renewal is under way, on this node or another one, or a
// newer AT is stored, that one counts. Otherwise the AS may have lost the AT, or
// it was revoked there. Then one renewal shows whether it took back the
// grant as well: so it ends here. Which RT may be presented, and when, is
// decided as at an AT's expiry: for both, it is of no use from now on.
//
// The error is ErrLast where a renewal is not possible, or where the AT came by
// one just now; otherwise as Token's.
func (v *Vault) After(ctx context.Context, h Handle, dead Secret) (Access, error) {
	return v.after(ctx, h, dead, time.Time{})
}

// AfterEvent is After for an AT that something has made out of date which became
// known at that moment. One that was granted earlier is renewed at once, without the
// pause after a renewal: it has just come, and is old all the same.
func (v *Vault) AfterEvent(ctx context.Context, h Handle, old Secret, event time.Time) (Access, error) {
	return v.after(ctx, h, old, event)
}

func (v *Vault) after(ctx context.Context, h Handle, dead Secret, event time.Time) (Access, error) {
	const rounds = 3 // a renewal may have ended just when it was joined
	c := v.cfg.Load()
	until := c.o.Now().Add(c.o.RefreshWait)
	for range rounds {
		w, err := v.look(ctx, c, h, true)
		if err != nil {
			return Access{}, err
		}
		if !sameToken(w.grant.AccessToken, dead) {
			return v.Token(ctx, h)
		}
		f, err := v.joinAfter(ctx, c, h, &w, dead, event)
		if err != nil {
			return Access{}, err
		}
		access, err := v.await(ctx, c, f, w.grant.Issuer, until.Sub(c.o.Now()))
		if err != nil || !sameToken(access.Token, dead) {
			return c.inTime(access, err)
		}
	}
	return Access{}, &Unavailable{time.Second, errors.New("the access token is dead, and no renewal comes about")}
}

// clocksOfNodes is how far the clocks of two nodes may differ for an AT to count as
// older than an event.
const clocksOfNodes = time.Second

// joinAfter joins or starts a flight for which one AT is none.
func (v *Vault) joinAfter(ctx context.Context, c *config, h Handle, w *view, dead Secret, event time.Time) (*flight, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	busy := v.flights[h.Key()] != nil || v.unsaved[h.Key()] != nil || w.row.Intent.Open
	// The pause after a renewal that went well: were it not kept to, an issuer
	// that calls every AT inactive would be asked for each request.
	young := w.row.Fails == 0 && c.o.Now().Before(w.row.NotBefore)
	came := w.row.NotBefore.Add(-c.o.interval(w.grant.Lifetime)) // where it is young
	urgent := young && !event.IsZero() && came.Before(event.Add(clocksOfNodes))
	switch {
	case !busy && !w.grant.renewable():
		return nil, ErrLast
	case !busy && young && !urgent:
		return nil, ErrYoung
	}
	f, err := v.joinLocked(ctx, c, h, &w.grant)
	if err == nil {
		f.dead, f.urgent = dead, f.urgent || urgent
	}
	return f, err
}

func sameToken(a, b Secret) bool {
	return subtle.ConstantTimeCompare([]byte(a.Reveal()), []byte(b.Reveal())) == 1
}

// unguarded is a row without the pause after a renewal, where that is not to count.
// What comes after a failure counts always.
func (f *flight) unguarded(row Row) Row {
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	if f.urgent && row.Fails == 0 {
		row.NotBefore = time.Time{}
	}
	return row
}

// expireDead lets an AT that is known to be dead count as one that has run out.
func (f *flight) expireDead(w *view) {
	f.v.mu.Lock()
	dead := f.dead
	f.v.mu.Unlock()
	if !dead.Empty() && sameToken(w.grant.AccessToken, dead) {
		w.grant.Expiry = time.Time{}
	}
}
