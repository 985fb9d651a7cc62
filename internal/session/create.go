package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Create stores what the AS granted first, and answers the handle of it. The
// grant names kind, issuer, client, subject, credentials and App; tokens, scope
// and lifetime are the answer's. asked is when the AS was asked. On an error,
// which may be a [*Full], the tokens are given back: no client will ever hold a
// handle to them.
func (v *Vault) Create(ctx context.Context, g Grant, answer Granted, asked time.Time) (Handle, Access, error) {
	return v.createFor(ctx, Browser{}, g, answer, asked)
}

func (v *Vault) createFor(ctx context.Context, b Browser, g Grant, answer Granted, asked time.Time) (Handle, Access, error) {
	h := NewHandle()
	access, err := v.create(ctx, h, b, g, answer, asked)
	if err != nil {
		return Handle{}, Access{}, err
	}
	return h, access, nil
}

func (v *Vault) create(ctx context.Context, h Handle, b Browser, g Grant, answer Granted, asked time.Time) (Access, error) {
	c := v.cfg.Load()
	now := c.o.Now()
	g.Created, g.End = now, now.Add(c.o.Max)
	g = c.o.renewed(g, answer, asked)
	g.Lost = "" // asked for and not granted is not lost
	if g.Subject == "" {
		g.Subject = answer.Subject
	}
	sealed, err := c.ring.seal(h, 1, &g)
	if err != nil {
		return Access{}, err
	}
	row := Row{
		Key: h.Key(), Generation: 1, NotBefore: now.Add(c.o.interval(g.Lifetime)), Created: now, LastUsed: now,
		Until: g.End, Subject: c.ring.Digest("subject", g.Issuer, g.Subject), Sealed: sealed,
	}
	if err := b.mark(c.ring, &row, g.Issuer); err != nil {
		return Access{}, err
	}
	if row.Holder, err = v.count(ctx, c, b, &g); err != nil {
		v.giveBack(ctx, c, &g)
		return Access{}, err
	}
	asking, cancel := context.WithTimeout(ctx, c.o.StoreTimeout)
	defer cancel()
	err = v.store.Create(asking, row)
	v.holders.wrote(row.Holder)
	if err != nil {
		v.liveCount.gone(row.Holder)
		v.holders.gone(row.Holder)
		v.giveBack(ctx, c, &g)
		return Access{}, &Unavailable{time.Second, fmt.Errorf("storing a new grant: %w", err)}
	}
	w := view{row: row, grant: g}
	return w.access(), nil
}

// End ends the handle's grant on every node, then gives its tokens back to the
// AS. A renewal under way comes too late. The error is ErrNoGrant, or an
// *Unavailable: then the grant may still be alive.
func (v *Vault) End(ctx context.Context, h Handle, reason string) error {
	c := v.cfg.Load()
	return v.end(ctx, c, h.Key(), reason, func(row *Row) (*Grant, error) {
		if s := v.savingOf(h); s != nil && s.old == row.Version() {
			return nil, nil // the write that goes on will find the tombstone, and give the newer pair back
		}
		g, err := c.ring.open(h, row.Generation, row.Sealed)
		if errors.Is(err, errShut) {
			return nil, ErrNoGrant
		}
		if err != nil {
			return nil, &Unavailable{time.Minute, err}
		}
		return &g, nil
	})
}

// EndKey is End for an operator, who has no handle, and for a grant that shares its
// session at the AS with another one (see [Vault.Shares]): the tokens stay sealed
// and are not given back.
func (v *Vault) EndKey(ctx context.Context, key Key, reason string) error {
	return v.end(ctx, v.cfg.Load(), key, reason, func(*Row) (*Grant, error) { return nil, nil })
}

// EndSubject ends all grants of one subject, and counts them.
func (v *Vault) EndSubject(ctx context.Context, issuer, subject, reason string) (ended int, err error) {
	c := v.cfg.Load()
	return v.endEach(ctx, c, reason, BySubject, c.ring.Digests("subject", issuer, subject), func(*Row) bool { return true })
}

// EndSubjectUntil ends those of a subject's grants that began until then.
func (v *Vault) EndSubjectUntil(ctx context.Context, issuer, subject string, until time.Time, reason string) (ended int, err error) {
	c := v.cfg.Load()
	return v.endEach(ctx, c, reason, BySubject, c.ring.Digests("subject", issuer, subject), func(row *Row) bool { return !row.Created.After(until) })
}

// EndClient ends the grants that a client has for itself, of those servers, as
// [Options.Authority] names them, and that began until then; zero: whenever. Those that
// it has for users are found by their users alone.
func (v *Vault) EndClient(ctx context.Context, servers []string, client string, until time.Time, reason string) (ended int, err error) {
	c := v.cfg.Load()
	var holders []ID
	for _, server := range servers {
		holders = append(holders, c.ring.Digests(holderClient, server, client)...)
	}
	return v.endEach(ctx, c, reason, ByHolder, holders, func(row *Row) bool { return until.IsZero() || !row.Created.After(until) })
}

// endEach ends the live grants under one of some digests that fit. What was found
// ends also if others may not have been found.
func (v *Vault) endEach(ctx context.Context, c *config, reason string, by Index, ids []ID, fits func(*Row) bool) (ended int, err error) {
	var keys []Key
	looked := v.find(ctx, c, by, ids, func(row *Row) bool {
		if !row.Dead && fits(row) {
			keys = append(keys, row.Key)
		}
		return true
	})
	for _, key := range keys {
		switch err := v.EndKey(ctx, key, reason); {
		case err == nil:
			ended++
		case !errors.Is(err, ErrNoGrant):
			return ended, err
		}
	}
	if looked != nil {
		return ended, &Unavailable{time.Second, fmt.Errorf("looking for grants to end: %w", looked)}
	}
	return ended, nil
}

func (v *Vault) end(ctx context.Context, c *config, key Key, reason string, open func(*Row) (*Grant, error)) error {
	const rounds = 64 // others change a row now and then, not all the time
	for range rounds {
		row, err := v.load(ctx, c, key)
		if err == nil && row.Dead { // for good?
			row, err = v.confirmed(ctx, c, key)
		}
		if errors.Is(err, ErrNotFound) || err == nil && (row.Dead || row.Purpose != ForGrant) {
			return ErrNoGrant
		}
		if err != nil {
			return &Unavailable{time.Second, fmt.Errorf("reading a record: %w", err)}
		}
		grant, err := open(&row)
		if err != nil {
			return err
		}
		next := tombstone(row, reason)
		err = v.swap(ctx, c, row.Version(), next)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			// Perhaps it was written all the same.
			if now, again := v.confirmed(ctx, c, key); again != nil || !now.Dead || now.Version() != next.Version() {
				return &Unavailable{time.Second, fmt.Errorf("ending a grant: %w", err)}
			}
		}
		c.ended(&next)
		v.giveBack(ctx, c, grant)
		return nil
	}
	return &Unavailable{time.Second, errors.New("ending a grant: the record does not stand still")}
}

func (v *Vault) load(ctx context.Context, c *config, key Key) (Row, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.StoreTimeout)
	defer cancel()
	return v.store.Load(ctx, key)
}

// confirmed reads a row as it will last.
func (v *Vault) confirmed(ctx context.Context, c *config, key Key) (Row, error) {
	s, ok := v.store.(Confirmer)
	if !ok {
		return v.load(ctx, c, key)
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.StoreTimeout)
	defer cancel()
	return s.Confirmed(ctx, key)
}
