package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// headEnd is the last letter of a head.
const headEnd = versionSize + session.HeadSize - 1

// atOnce is how many rows are read in one round trip.
const atOnce = 500

// Each shows the heads of all rows. While the server's table grows or shrinks,
// it may show one twice. Records that cannot be read are an error, but only
// after all others were shown.
//
// All of it goes over one connection: another one may lead to another server,
// after a failover, where the walk would go on and skip what stands in another
// order there.
func (s *Store) Each(ctx context.Context, visit func(session.Row) bool) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	conn := s.link.Load().client.Conn()
	defer func() { _ = conn.Close() }()
	var left session.Unread
	for cursor := uint64(0); ; {
		if err := s.ready(ctx); err != nil {
			return err
		}
		names, next, err := conn.Scan(ctx, cursor, s.prefix+"*}", atOnce).Result()
		if err != nil {
			return err
		}
		if on, err := s.heads(ctx, conn, names, visit, &left); err != nil || !on {
			return err
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	if left.N > 0 {
		return &left
	}
	return nil
}

var _ session.Pager = (*Store)(nil)

// Stretch shows the heads of some rows. The server may show one twice.
func (s *Store) Stretch(ctx context.Context, at string, visit func(session.Row)) (next string, err error) {
	if err := s.ready(ctx); err != nil {
		return "", err
	}
	cursor := uint64(0)
	if at != "" {
		if cursor, err = strconv.ParseUint(at, 10, 64); err != nil {
			return "", session.ErrNoPage
		}
	}
	conn := s.link.Load().client.Conn()
	defer func() { _ = conn.Close() }()
	names, cursor, err := conn.Scan(ctx, cursor, s.prefix+"*}", atOnce).Result()
	if err != nil {
		return "", err
	}
	var left session.Unread
	if _, err := s.heads(ctx, conn, names, func(row session.Row) bool { visit(row); return true }, &left); err != nil {
		return "", err
	}
	if cursor > 0 {
		next = strconv.FormatUint(cursor, 10)
	}
	if left.N > 0 {
		return next, &left
	}
	return next, nil
}

func (s *Store) heads(ctx context.Context, conn *redis.Conn, names []string, visit func(session.Row) bool, left *session.Unread) (on bool, err error) {
	var keys []session.Key
	var heads []*redis.StringCmd
	pipe := conn.Pipeline()
	for _, name := range names {
		if key, ours := s.keyOf(name); ours {
			keys, heads = append(keys, key), append(heads, pipe.GetRange(ctx, name, 0, headEnd))
		}
	}
	if len(heads) == 0 {
		return true, nil
	}
	_, _ = pipe.Exec(ctx) // each has its own error
	for i, head := range heads {
		value, err := head.Result()
		if redis.HasErrorPrefix(err, "WRONGTYPE") {
			leave(left, fmt.Errorf("reading %s: %w: %w", s.name(keys[i]), ErrDamaged, err))
			continue
		}
		if err != nil {
			return false, fmt.Errorf("reading %s: %w", s.name(keys[i]), err)
		}
		var row session.Row
		switch err := decode(value, keys[i], row.UnmarshalHead, &row); {
		case errors.Is(err, session.ErrNotFound): // gone meanwhile
		case err != nil:
			leave(left, fmt.Errorf("reading %s: %w", s.name(keys[i]), err))
		case !visit(row):
			return false, nil
		}
	}
	return true, nil
}

// leave notes a record that a walk could not show.
func leave(left *session.Unread, err error) {
	if left.N++; left.First == nil {
		left.First = err
	}
}
