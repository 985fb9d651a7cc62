package redisstore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

var _ session.Finder = (*Store)(nil)

// Find shows the heads of the rows under a digest.
func (s *Store) Find(ctx context.Context, by session.Index, id session.ID, visit func(session.Row) bool) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	members, err := s.link.Load().client.ZRange(ctx, s.under(by, id), 0, -1).Result()
	if err != nil {
		return err
	}
	return s.show(ctx, members, func(row session.Row) bool { return row.Under(by) != id || visit(row) })
}

// show shows the heads of rows whose keys are given.
func (s *Store) show(ctx context.Context, members []string, visit func(session.Row) bool) error {
	conn := s.link.Load().client.Conn()
	defer func() { _ = conn.Close() }()
	var left session.Unread
	for some := range slices.Chunk(members, atOnce) {
		var names []string
		for _, member := range some {
			if len(member) == len(session.Key{}) {
				names = append(names, s.name(session.Key([]byte(member))))
			}
		}
		if on, err := s.heads(ctx, conn, names, visit, &left); err != nil || !on {
			return err
		}
	}
	if left.N > 0 {
		return &left
	}
	return nil
}

// numberScript counts what has not run out.
var numberScript = redis.NewScript(`
local now = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], now[1] .. string.format('%03d', math.floor(now[2] / 1000)), '+inf')`)

// Number counts the rows under a digest.
func (s *Store) Number(ctx context.Context, by session.Index, id session.ID) (int, error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	return numberScript.Run(ctx, s.link.Load().client, []string{s.under(by, id)}).Int()
}

// Counts are the grants by a time of the server's.
func (s *Store) Counts(ctx context.Context, now time.Time) (n session.Counts, err error) {
	if err := s.ready(ctx); err != nil {
		return n, err
	}
	pipe := s.link.Load().client.Pipeline()
	used := pipe.ZCard(ctx, s.aside(setUsed))
	ended := pipe.ZCount(ctx, s.aside(setEnded), millis(now), "+inf")
	open := pipe.ZCard(ctx, s.aside(setOpen))
	renewing := pipe.ZCount(ctx, s.aside(setOpen), millis(now), "+inf")
	if _, err := pipe.Exec(ctx); err != nil {
		return n, err
	}
	n.Dead, n.Renewing = int(ended.Val()), int(renewing.Val())
	n.Uncertain = max(0, int(open.Val())-n.Renewing)
	n.Live = max(0, int(used.Val()-open.Val()))
	return n, nil
}

// Keys shows the keys of all rows. While the server's table grows or shrinks, it
// may show one twice.
func (s *Store) Keys(ctx context.Context, visit func(session.Key) bool) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	conn := s.link.Load().client.Conn()
	defer func() { _ = conn.Close() }()
	for cursor := uint64(0); ; {
		names, next, err := conn.Scan(ctx, cursor, s.prefix+"*}", 10*atOnce).Result()
		if err != nil {
			return err
		}
		for _, name := range names {
			if key, ours := s.keyOf(name); ours && !visit(key) {
				return nil
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

const (
	// notYet is for how long a row that is due and not over is left alone.
	notYet = 5 * time.Minute
	// sweeping is for how long the node that sweeps is the only one. It takes that
	// anew each time.
	sweeping = 150 * time.Second
	// openAtOnce bounds how many unsettled rows are looked for at a time.
	openAtOnce = 1000
)

// leaseScript takes or keeps a lease.
var leaseScript = redis.NewScript(`
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

func (s *Store) lease(ctx context.Context, name string, long time.Duration) (ours bool, err error) {
	n, err := leaseScript.Run(ctx, s.link.Load().client, []string{s.aside(name)}, s.own, long.Milliseconds()).Int()
	return n == 1, err
}

// Due answers what is over to one of the nodes. Rows past their end vanish by
// themselves.
func (s *Store) Due(ctx context.Context, used, now time.Time, over func(*session.Row) bool, most int) (keys []session.Key, more bool, err error) {
	if err := s.ready(ctx); err != nil {
		return nil, false, err
	}
	s.idle.Store(int64(now.Sub(used)))
	if ours, err := s.lease(ctx, "sweeper", sweeping); err != nil || !ours {
		return nil, false, err
	}
	client := s.link.Load().client
	if err := client.ZRemRangeByScore(ctx, s.aside(setEnded), "-inf", "("+millis(now)).Err(); err != nil {
		return nil, false, err
	}
	if err := s.dropGone(ctx, s.aside(setOpen), "("+millis(now), openAtOnce); err != nil {
		return nil, false, err
	}
	for offset := int64(0); ; {
		members, err := client.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: s.aside(setUsed), ByScore: true, Start: "-inf", Stop: "(" + millis(used), Offset: offset, Count: atOnce,
		}).Result()
		if err != nil || len(members) == 0 {
			return keys, false, err
		}
		found, err := s.due(ctx, members, used, over)
		if err != nil {
			return keys, false, err
		}
		if keys = append(keys, found...); len(keys) >= most {
			more = len(keys) > most || len(members) == atOnce
			return keys[:most], more, nil
		}
		offset += int64(len(found)) // those stay until they are deleted
	}
}

// due tells which rows of some are over, and puts the others where they belong.
func (s *Store) due(ctx context.Context, members []string, used time.Time, over func(*session.Row) bool) (keys []session.Key, err error) {
	right := map[string]string{} // none: of a row that is gone, or has ended
	for _, member := range members {
		right[member] = none
	}
	err = s.show(ctx, members, func(row session.Row) bool {
		member := string(row.Key[:])
		at := s.usedScore(&row)
		switch n, _ := strconv.ParseInt(at, 10, 64); {
		case row.Purpose != session.ForGrant || row.Dead:
		case n >= used.UnixMilli():
			right[member] = at
		case over(&row):
			delete(right, member)
			keys = append(keys, row.Key)
		default:
			right[member] = millis(used.Add(notYet))
		}
		return true
	})
	if unread, ok := errors.AsType[*session.Unread](err); err != nil && !ok {
		return nil, err
	} else if ok {
		for member, at := range right { // which of them, it does not say
			if at == none && unread.N > 0 {
				right[member] = millis(used.Add(notYet))
			}
		}
	}
	return keys, s.score(ctx, s.aside(setUsed), right)
}

// score moves members of a set, and takes away those without a score.
func (s *Store) score(ctx context.Context, set string, right map[string]string) error {
	if len(right) == 0 {
		return nil
	}
	pipe := s.link.Load().client.Pipeline()
	for member, at := range right {
		if at == none {
			pipe.ZRem(ctx, set, member)
		} else {
			pipe.Do(ctx, "zadd", set, "XX", at, member)
		}
	}
	_, err := pipe.Exec(ctx)
	return err
}

// dropGone takes those out of a set whose rows have vanished, of so many that come
// first.
func (s *Store) dropGone(ctx context.Context, set, before string, most int64) error {
	members, err := s.link.Load().client.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: set, ByScore: true, Start: "-inf", Stop: before, Count: most,
	}).Result()
	if err != nil || len(members) == 0 {
		return err
	}
	gone := map[string]string{}
	for _, member := range members {
		gone[member] = none
	}
	err = s.show(ctx, members, func(row session.Row) bool { delete(gone, string(row.Key[:])); return true })
	if err != nil {
		return nil //nolint:nilerr // some cannot be read: the others go another time
	}
	return s.score(ctx, set, gone)
}
