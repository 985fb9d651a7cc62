package boltstore

import (
	"context"
	"encoding/hex"

	"go.etcd.io/bbolt"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// What one read transaction of Each may hold up, and one page hold in memory.
const (
	pageRows  = 256
	pageBytes = 1 << 20
)

// page is a stretch of the file, read in one transaction.
type page struct {
	rows       []session.Row
	over       []session.Key // past their end
	unreadable int
	why        error  // of the first one
	next       []byte // where the next page starts; nil after the last row
}

// Each shows every row, page by page, so that visit may use the store. Rows
// past their end are forgotten on the way. Records that cannot be read are an
// error, but only after all others were shown.
func (s *Store) Each(ctx context.Context, visit func(session.Row) bool) error {
	var p page
	var first error
	unreadable := 0
	for more := true; more; more = p.next != nil {
		if err := s.ready(ctx); err != nil {
			return err
		}
		if err := s.read(func(rows *bbolt.Bucket) error { s.turn(rows, &p); return nil }); err != nil {
			return err
		}
		for _, row := range p.rows {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !visit(row) {
				return nil
			}
		}
		// Where this fails the rows stay hidden, and come up the next time.
		_ = s.forget(ctx, p.over)
		if unreadable += p.unreadable; first == nil {
			first = p.why
		}
	}
	if unreadable > 0 {
		return &session.Unread{N: unreadable, First: first}
	}
	return nil
}

var _ session.Pager = (*Store)(nil)

// Stretch shows a page of rows.
func (s *Store) Stretch(ctx context.Context, at string, visit func(session.Row)) (next string, err error) {
	if err := s.ready(ctx); err != nil {
		return "", err
	}
	var p page
	if p.next, err = hex.DecodeString(at); err != nil {
		return "", session.ErrNoPage
	}
	if err := s.read(func(rows *bbolt.Bucket) error { s.turn(rows, &p); return nil }); err != nil {
		return "", err
	}
	for _, row := range p.rows {
		visit(row)
	}
	if p.unreadable > 0 {
		err = &session.Unread{N: p.unreadable, First: p.why}
	}
	return hex.EncodeToString(p.next), err
}

// turn reads the page after p.
func (s *Store) turn(rows *bbolt.Bucket, p *page) {
	now, size, cursor := s.now(), 0, rows.Cursor()
	key, value := cursor.Seek(p.next)
	*p = page{rows: p.rows[:0], over: p.over[:0]}
	for n := 0; key != nil; n++ {
		if n == pageRows || size > pageBytes {
			p.next = append([]byte(nil), key...)
			return
		}
		size += len(value)
		var row session.Row
		switch err := decode(key, value, &row); {
		case err != nil:
			if p.unreadable++; p.why == nil {
				p.why = err
			}
		case now.After(row.Until):
			p.over = append(p.over, row.Key)
		default:
			p.rows = append(p.rows, row)
		}
		key, value = cursor.Next()
	}
}

// forget deletes rows in one commit, but none that was created anew.
func (s *Store) forget(ctx context.Context, keys []session.Key) error {
	if len(keys) == 0 {
		return nil
	}
	return s.write(ctx, func(t *table) (changed bool, err error) {
		for _, key := range keys {
			var row session.Row
			found := t.rows.Get(key[:])
			if found == nil || decode(key[:], found, &row) != nil || !s.now().After(row.Until) {
				continue
			}
			if err := t.remove(&row); err != nil {
				return changed, err
			}
			changed = true
		}
		return changed, nil
	})
}
