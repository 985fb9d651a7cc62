package redisstore

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

const (
	// wholeFor is for how long what was asked about the indexes is believed.
	wholeFor = time.Second
	// lookEvery is how often a node sees whether they have to be made.
	lookEvery = 5 * time.Second
	// indexLease is for how long one node alone makes them, from each round trip on.
	indexLease = 30 * time.Second
	indexTries = 5 // for rows that change meanwhile
	wholeWord  = "1"
)

// errOlder says that a node writes rows without indexes.
var errOlder = errors.New("a node of an older build uses the same place")

// Indexed reports whether all rows are in the indexes, and nodes alone that keep
// them so. A node of an older build listens for changes as all do, and does not for
// what those with indexes hear: so there it is seen. While nothing can be published
// it could not be, and the answer is no.
func (s *Store) Indexed(ctx context.Context) (bool, error) {
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	whole, asked := s.whole, s.wholeAsked
	s.mu.Unlock()
	if asked {
		return whole, nil
	}
	word, err := s.wholeWord(ctx)
	switch {
	case errors.Is(err, errOlder), redis.HasErrorPrefix(err, "NOPERM"):
		whole = false
	case err != nil:
		return false, err
	default:
		whole = word == wholeWord
	}
	s.mu.Lock()
	s.whole, s.wholeAsked = whole, true
	s.mu.Unlock()
	time.AfterFunc(wholeFor, func() {
		s.mu.Lock()
		s.wholeAsked = false
		s.mu.Unlock()
	})
	return whole, nil
}

// wholeWord reads what is said of the indexes. If there is a node that does not keep
// them, it is taken back.
func (s *Store) wholeWord(ctx context.Context) (word string, err error) {
	pipe := s.link.Load().client.Pipeline()
	get := pipe.Get(ctx, s.aside(wholeKey))
	all := pipe.Publish(ctx, s.channel, "?") // no row's key
	indexers := pipe.Publish(ctx, s.indexers, "?")
	_, _ = pipe.Exec(ctx) // each has its own error
	for _, err := range []error{all.Err(), indexers.Err()} {
		if err != nil {
			return "", err
		}
	}
	if all.Val() > indexers.Val() {
		return "", errors.Join(errOlder, s.link.Load().client.Del(ctx, s.aside(wholeKey)).Err())
	}
	word, err = get.Result()
	if errors.Is(err, redis.Nil) || indexers.Val() == 0 { // nor are we heard ourselves
		return "", nil
	}
	return word, err
}

// indexing makes the indexes whenever they are not whole.
func (s *Store) indexing() {
	for {
		if word, err := s.wholeWord(s.ctx); err == nil && word != wholeWord {
			_ = s.index(s.ctx) // it is tried again
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(lookEvery):
		}
	}
}

// entryScript brings the entries of a row into the sets, if it has not changed.
var entryScript = redis.NewScript(fileEntries + `
if redis.call('GETRANGE', KEYS[1], 0, 23) ~= ARGV[1] then return 1 end
file(ARGV[2], 3)
return 2`)

// wholeScript says that the indexes are whole, unless something has gone wrong
// since they were begun.
var wholeScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`)

// index goes through all rows, if no other node does.
func (s *Store) index(ctx context.Context) error {
	ours, err := s.lease(ctx, "indexer", indexLease)
	if err != nil || !ours {
		return err
	}
	client := s.link.Load().client
	begun := "begun " + s.own
	if err := client.Set(ctx, s.aside(wholeKey), begun, 0).Err(); err != nil {
		return err
	}
	if err := s.empty(ctx); err != nil {
		return err
	}
	var some []session.Row
	flush := func() error {
		rows := some
		some = nil
		return s.enter(ctx, rows)
	}
	var failed error
	err = s.Each(ctx, func(row session.Row) bool {
		if some = append(some, row); len(some) < atOnce {
			return true
		}
		if failed = flush(); failed == nil {
			ours, failed = s.lease(ctx, "indexer", indexLease)
		}
		return failed == nil && ours
	})
	if _, unread := errors.AsType[*session.Unread](err); err != nil && !unread {
		return err
	}
	if failed == nil && ours {
		failed = flush()
	}
	if failed != nil || !ours {
		return failed
	}
	if _, err := s.wholeWord(ctx); err != nil {
		return err
	}
	return wholeScript.Run(ctx, client, []string{s.aside(wholeKey)}, begun, wholeWord).Err()
}

// empty deletes all sets: builds without indexes have left entries there of rows that
// they ended or deleted. A row that was there by then is met afterwards, and a newer
// one brings its entries itself.
func (s *Store) empty(ctx context.Context) error {
	conn := s.link.Load().client.Conn()
	defer func() { _ = conn.Close() }()
	if err := conn.Del(ctx, s.aside(setUsed), s.aside(setEnded), s.aside(setOpen)).Err(); err != nil {
		return err
	}
	digests := s.names + "[" + letters[session.BySubject] + letters[session.ByUser] + letters[session.BySession] + letters[session.ByHolder] + "]:*"
	for cursor := uint64(0); ; {
		names, next, err := conn.Scan(ctx, cursor, digests, atOnce).Result()
		if err == nil && len(names) > 0 {
			err = conn.Del(ctx, names...).Err()
		}
		if cursor = next; err != nil || cursor == 0 {
			return err
		}
	}
}

// enter brings the entries of rows into the sets.
func (s *Store) enter(ctx context.Context, rows []session.Row) error {
	client := s.link.Load().client
	for range indexTries {
		pipe := client.Pipeline()
		var asked []*redis.Cmd
		var of []session.Key
		for i := range rows {
			row := &rows[i]
			if row.Purpose != session.ForGrant {
				continue
			}
			version, to := row.Version(), s.created(row)
			run := entryScript.EvalSha
			if len(asked) == 0 {
				run = entryScript.Eval // from then on the server knows it
			}
			of = append(of, row.Key)
			asked = append(asked, run(ctx, pipe, to.names(s.name(row.Key)), to.args(spell(&version), row.Key[:])...))
		}
		if len(asked) == 0 {
			return nil
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
		var again []string
		for i, one := range asked {
			if code, err := one.Int(); err != nil {
				return err
			} else if code == another {
				again = append(again, string(of[i][:]))
			}
		}
		rows = nil
		err := s.show(ctx, again, func(row session.Row) bool { rows = append(rows, row); return true })
		if _, unread := errors.AsType[*session.Unread](err); err != nil && !unread {
			return err
		}
	}
	if len(rows) > 0 {
		return errors.New("records do not stand still")
	}
	return nil
}
