package session

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"slices"
	"strings"
	"time"
)

// Summary is what an operator may see of a grant.
type Summary struct {
	Key                      Key
	Sref                     string
	Renewals                 uint64
	Renewing, Uncertain      bool
	Dead                     bool
	Reason                   string
	Created, LastUsed, Until time.Time
}

func (c *config) summary(row *Row) Summary {
	one := Summary{
		Key: row.Key, Sref: c.ring.Sref(row.Key), Renewals: row.Generation - 1, Renewing: row.Intent.Open,
		Uncertain: row.Doubts > 0, Dead: row.Dead, Reason: row.Reason,
		Created: row.Created, LastUsed: row.LastUsed, Until: row.Until,
	}
	if row.Dead {
		one.Renewals-- // its end moved the generation too
	}
	return one
}

// List shows every grant of the store until visit answers false.
func (v *Vault) List(ctx context.Context, visit func(Summary) bool) error {
	c := v.cfg.Load()
	return v.store.Each(ctx, func(row Row) bool { return row.Purpose != ForGrant || visit(c.summary(&row)) })
}

// Pager is what a store may offer beside: a walk that goes on another time.
type Pager interface {
	// Stretch shows some rows from a position on, "" for the first, and answers
	// where to go on, "" after the last. Records that cannot be read are an *Unread
	// beside that. An error of any other kind may be a position that is none.
	Stretch(ctx context.Context, at string, visit func(Row)) (next string, err error)
}

// Page is what of the grants is to be listed.
type Page struct {
	Issuer, Subject string             // of this subject, if there is one
	Fits            func(Summary) bool // nil: all do
	After           string             // where the page before has ended; "": it is the first
	Most            int                // grants to be shown
	Look            int                // grants to be looked at, so that a page comes soon though few fit
}

// ErrNoPage says that a page is asked for after none.
var ErrNoPage = errors.New("no page ends there")

// ListPage shows a page of grants. It answers where it ended, "" if that was the
// last one, and at how many it looked.
func (v *Vault) ListPage(ctx context.Context, p Page, visit func(Summary)) (end string, looked int, err error) {
	c := v.cfg.Load()
	show := func(row *Row) (shown bool) {
		looked++
		one := c.summary(row)
		if p.Fits != nil && !p.Fits(one) {
			return false
		}
		visit(one)
		return true
	}
	if p.Subject != "" {
		end, err = v.listSubject(ctx, c, &p, show)
		return end, looked, err
	}
	at, last, _ := strings.Cut(p.After, ".")
	skip, err := hex.DecodeString(last)
	if err != nil {
		return "", 0, ErrNoPage
	}
	var left Unread
	shown := 0
	for {
		rows, next, err := v.stretch(ctx, at)
		if !left.took(err) {
			return "", looked, err
		}
		slices.SortFunc(rows, byKey)
		rows = slices.DeleteFunc(rows, func(row Row) bool { return bytes.Compare(row.Key[:], skip) <= 0 })
		skip = nil // of the stretch where the page before ended
		for i := range rows {
			if show(&rows[i]) {
				shown++
			}
			if shown == p.Most && i+1 < len(rows) {
				return at + "." + hex.EncodeToString(rows[i].Key[:]), looked, left.orNil()
			}
		}
		if at = next; next == "" || shown >= p.Most || looked >= p.Look {
			return next, looked, left.orNil()
		}
	}
}

// stretch reads the grants of a stretch of the store.
func (v *Vault) stretch(ctx context.Context, at string) (rows []Row, next string, err error) {
	take := func(row Row) {
		if row.Sealed = nil; row.Purpose == ForGrant {
			rows = append(rows, row)
		}
	}
	if pager, ok := v.store.(Pager); ok {
		next, err = pager.Stretch(ctx, at, take)
		return rows, next, err
	}
	err = v.store.Each(ctx, func(row Row) bool { take(row); return true })
	return rows, "", err
}

func byKey(a, b Row) int { return bytes.Compare(a.Key[:], b.Key[:]) }

// listSubject shows the grants of one subject, by their keys.
func (v *Vault) listSubject(ctx context.Context, c *config, p *Page, show func(*Row) bool) (end string, err error) {
	after, err := hex.DecodeString(p.After)
	if err != nil {
		return "", ErrNoPage
	}
	var rows []Row
	err = v.find(ctx, c, BySubject, c.ring.Digests("subject", p.Issuer, p.Subject), func(row *Row) bool {
		one := *row
		if one.Sealed = nil; string(one.Key[:]) > string(after) {
			rows = append(rows, one)
		}
		return true
	})
	if err != nil && !unread(err) {
		return "", err
	}
	slices.SortFunc(rows, byKey)
	shown := 0
	for i := range rows {
		if show(&rows[i]) {
			shown++
		}
		if shown == p.Most && i+1 < len(rows) {
			return hex.EncodeToString(rows[i].Key[:]), err
		}
	}
	return "", err
}

// EndNamed is EndKey for the grant that logs and lists name so, by any key of the
// ring. It goes through the keys of the rows, and where the store has indexes
// through nothing else.
func (v *Vault) EndNamed(ctx context.Context, sref, reason string) error {
	c := v.cfg.Load()
	f, err := v.indexed(ctx, c)
	if err != nil {
		return unavailable(0, "asking for the store's indexes: %w", err)
	}
	named := c.ring.srefs(sref)
	var key *Key
	see := func(one Key) bool {
		if named(one) {
			key = &one
		}
		return key == nil
	}
	if f != nil {
		err = f.Keys(ctx, see)
	} else {
		err = v.store.Each(ctx, func(row Row) bool { return row.Purpose != ForGrant || see(row.Key) })
	}
	switch {
	case key != nil:
		return v.EndKey(ctx, *key, reason)
	case err != nil:
		return unavailable(0, "looking for a grant: %w", err)
	}
	return ErrNoGrant
}

// srefs answers a function that tells whether a row has this name under any key.
func (r *Keyring) srefs(sref string) func(Key) bool {
	name, err := srefEncoding.DecodeString(sref)
	if err != nil || len(name) != srefSize {
		return func(Key) bool { return false }
	}
	var sum [sha256.Size]byte
	macs := make([]hash.Hash, len(r.keys))
	for i := range r.keys {
		macs[i] = hmac.New(sha256.New, r.keys[i].log)
	}
	return func(key Key) bool {
		for _, one := range macs {
			one.Reset()
			_, _ = one.Write(key[:])
			if string(one.Sum(sum[:0])[:srefSize]) == string(name) {
				return true
			}
		}
		return false
	}
}
