package redisstore

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

var nameEncoding = base64.RawURLEncoding

// What the scripts answer.
const (
	missing = 0
	another = 1 // the row has another version
	written = 2
	same    = 3 // the row is already what was to be written
)

// swapScript replaces a row whose version is the expected one. A row that is
// what was to be written, by a write whose answer got lost, is written once
// more: so that WAIT, which waits for the last write of a connection, can tell
// whether the replicas have it. It is a conflict all the same. What fails in
// pcall ends no script: else the row would be written, and the writer told that
// it is not.
var swapScript = redis.NewScript(fileEntries + `
local version = redis.call('GETRANGE', KEYS[1], 0, 23)
if version == '' then return 0 end
if version ~= ARGV[1] then
	if version ~= string.sub(ARGV[2], 1, 24) or redis.call('GET', KEYS[1]) ~= ARGV[2] then return 1 end
	redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
	return 3
end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
file(ARGV[5], 6)
redis.pcall('PUBLISH', ARGV[4], ARGV[5])
return 2`)

// createScript writes a row where there is none. It is told on a channel, if there is
// one: of a new grant no other node knows anything that would be old now, while the
// first writing of a document is a change to those that share it.
var createScript = redis.NewScript(fileEntries + `
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PXAT', ARGV[2]) then return 1 end
file(ARGV[3], 5)
if ARGV[4] ~= '' then redis.pcall('PUBLISH', ARGV[4], ARGV[3]) end
return 2`)

// deleteScript forgets a row.
var deleteScript = redis.NewScript(fileEntries + `
if redis.call('DEL', KEYS[1]) == 1 then redis.pcall('PUBLISH', ARGV[1], ARGV[2]) end
file(ARGV[2], 3)
return 2`)

// confirmScript reads a row and writes it as it is, so that WAIT can tell
// whether the replicas have it.
var confirmScript = redis.NewScript(`
local row = redis.call('GET', KEYS[1])
if not row then return '' end
redis.call('SET', KEYS[1], row, 'KEEPTTL')
return string.sub(row, 1, tonumber(ARGV[1]))`)

// spell puts a version in front of a row, so that a script can compare it.
func spell(v *session.Version) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, versionSize), v.Generation), v.Intent[:]...)
}

func encode(row *session.Row) ([]byte, error) {
	version := row.Version()
	value, err := row.AppendBinary(spell(&version))
	if err == nil && len(value) > mostRow {
		err = ErrTooLarge
	}
	return value, err
}

// end is when the server forgets a row: never before Until.
func end(row *session.Row) int64 { return row.Until.Add(time.Millisecond - 1).UnixMilli() }

// Create writes a new row.
func (s *Store) Create(ctx context.Context, row session.Row) error {
	value, err := encode(&row)
	if err != nil {
		return err
	}
	to, channel := s.created(&row), ""
	if row.Purpose == session.ForDocument {
		channel = s.channel
	}
	switch code, err := s.write(ctx, createScript, to.names(s.name(row.Key)), to.args(value, end(&row), row.Key[:], channel)...); {
	case err != nil:
		return err
	case code != written:
		return session.ErrExists
	}
	return nil
}

// CompareAndSwap replaces a row.
func (s *Store) CompareAndSwap(ctx context.Context, old session.Version, next session.Row) error {
	value, err := encode(&next)
	if err != nil {
		return err
	}
	to := s.swapped(&next)
	code, err := s.write(ctx, swapScript, to.names(s.name(next.Key)), to.args(spell(&old), value, end(&next), s.channel, next.Key[:])...)
	if err != nil {
		return err
	}
	switch code {
	case missing:
		return session.ErrNotFound
	case another, same:
		return session.ErrConflict
	}
	return nil
}

// Delete forgets a row. A failover may bring it back: then it is past its end,
// and deleted again.
func (s *Store) Delete(ctx context.Context, key session.Key) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	client := s.link.Load().client
	to := s.deleted(nil)
	if head, err := client.GetRange(ctx, s.name(key), 0, headEnd).Result(); err == nil { // else what stands there is no row
		var row session.Row
		if decode(head, key, row.UnmarshalHead, &row) == nil {
			to = s.deleted(&row)
		}
	}
	_, err := deleteScript.Run(ctx, client, to.names(s.name(key)), to.args(s.channel, key[:])...).Result()
	return err
}

// write runs a script that changes a row, and answers once the replicas have
// the change.
func (s *Store) write(ctx context.Context, script *redis.Script, keys []string, args ...any) (code int64, err error) {
	answer, acked, err := s.run(ctx, script, keys, args...)
	if err != nil {
		return 0, err
	}
	code, err = answer.Int64()
	if err == nil && (code == written || code == same) {
		err = acked
	}
	return code, err
}

// run runs a script, and reports whether enough replicas have what it wrote.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) (answer *redis.Cmd, acked, err error) {
	if err := s.ready(ctx); err != nil {
		return nil, nil, err
	}
	l := s.link.Load()
	if l.replicas == 0 {
		answer = script.Run(ctx, l.client, keys, args...)
		return answer, nil, answer.Err()
	}
	// Each holds a connection until the replicas answer. While they do not, there
	// must be some left to read what is live.
	waiting, cancel := context.WithTimeout(ctx, l.options.Timeout)
	defer cancel()
	select {
	case l.writing <- struct{}{}:
		defer func() { <-l.writing }()
	case <-waiting.Done():
		return nil, nil, fmt.Errorf("too many writes wait for replicas already: %w", waiting.Err())
	}
	// Both on one connection: WAIT waits for what that has written.
	once := func(eval func(pipe redis.Pipeliner) *redis.Cmd) (answer, wait *redis.Cmd) {
		pipe := l.client.Pipeline()
		answer, wait = eval(pipe), pipe.Do(ctx, "wait", l.replicas, l.confirm.Milliseconds())
		_, _ = pipe.Exec(ctx) // each has its own error
		return answer, wait
	}
	answer, wait := once(func(pipe redis.Pipeliner) *redis.Cmd { return script.EvalSha(ctx, pipe, keys, args...) })
	if redis.HasErrorPrefix(answer.Err(), "NOSCRIPT") {
		answer, wait = once(func(pipe redis.Pipeliner) *redis.Cmd { return script.Eval(ctx, pipe, keys, args...) })
	}
	if err := answer.Err(); err != nil {
		return nil, nil, err
	}
	have, err := wait.Int64()
	switch {
	case err != nil:
		acked = fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	case have < int64(l.replicas):
		acked = fmt.Errorf("%w: %d of %d", ErrUnconfirmed, have, l.replicas)
	}
	return answer, acked, nil
}

// Confirmed reads a row, and answers it once the replicas have it.
func (s *Store) Confirmed(ctx context.Context, key session.Key) (row session.Row, err error) {
	if s.link.Load().replicas == 0 {
		return s.Load(ctx, key)
	}
	answer, acked, err := s.run(ctx, confirmScript, []string{s.name(key)}, mostRow+1)
	if err != nil {
		return row, err
	}
	value, err := answer.Text()
	if err == nil && value != "" {
		err = acked
	}
	if err != nil {
		return row, err
	}
	if err := decode(value, key, row.UnmarshalBinary, &row); err != nil {
		return session.Row{}, err
	}
	return row, nil
}
