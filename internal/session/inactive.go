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
		f, err := v.joinAfter(ctx, c, h, &w, dead)
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

// joinAfter joins or starts a flight for which one AT is none.
func (v *Vault) joinAfter(ctx context.Context, c *config, h Handle, w *view, dead Secret) (*flight, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	busy := v.flights[h.Key()] != nil || v.unsaved[h.Key()] != nil || w.row.Intent.Open
	// The pause after a renewal that went well: were it not kept to, an issuer
	// that calls every AT inactive would be asked for each request.
	young := w.row.Fails == 0 && c.o.Now().Before(w.row.NotBefore)
	switch {
	case !busy && !w.grant.renewable():
		return nil, ErrLast
	case !busy && young:
		return nil, ErrYoung
	}
	f, err := v.joinLocked(ctx, c, h, &w.grant)
	if err == nil {
		f.dead = dead
	}
	return f, err
}

func sameToken(a, b Secret) bool {
	return subtle.ConstantTimeCompare([]byte(a.Reveal()), []byte(b.Reveal())) == 1
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
