package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// atOnce is how many rows are read in one round trip.
const atOnce = 500

// Each shows the heads of all rows. While the server's table grows or shrinks,
// it may show one twice.
func (s *Store) Each(ctx context.Context, visit func(session.Row) bool) error {
	for cursor := uint64(0); ; {
		if err := s.ready(ctx); err != nil {
			return err
		}
		client := s.link.Load().client
		names, next, err := client.Scan(ctx, cursor, s.prefix+"*}", atOnce).Result()
		if err != nil {
			return err
		}
		if on, err := s.heads(ctx, client, names, visit); err != nil || !on {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

func (s *Store) heads(ctx context.Context, client *redis.Client, names []string, visit func(session.Row) bool) (on bool, err error) {
	var keys []session.Key
	var heads []*redis.StringCmd
	pipe := client.Pipeline()
	for _, name := range names {
		if key, ours := s.keyOf(name); ours {
			keys, heads = append(keys, key), append(heads, pipe.GetRange(ctx, name, 0, versionSize+session.HeadSize-1))
		}
	}
	if len(heads) == 0 {
		return true, nil
	}
	_, _ = pipe.Exec(ctx) // each has its own error
	for i, head := range heads {
		value, err := head.Result()
		if err != nil {
			return false, fmt.Errorf("reading %s: %w", s.name(keys[i]), err)
		}
		if value == "" {
			continue // gone meanwhile
		}
		var row session.Row
		if err := decode(value, keys[i], row.UnmarshalHead, &row); err != nil {
			return false, fmt.Errorf("reading %s: %w", s.name(keys[i]), err)
		}
		if !visit(row) {
			return false, nil
		}
	}
	return true, nil
}
