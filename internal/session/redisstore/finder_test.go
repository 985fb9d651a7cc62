package redisstore

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/session/storetest"
	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

// older is a node of a build that knows of no indexes: it listens for changes, and
// writes rows alone.
type older struct {
	t      *testing.T
	client *redis.Client
	names  *Store
	ear    *redis.PubSub
}

func newOlder(t *testing.T, o Options) *older {
	t.Helper()
	l, names := o.link(), named(&o)
	n := &older{t: t, client: l.client, names: names, ear: l.client.Subscribe(t.Context(), names.channel, names.own)}
	t.Cleanup(n.leave)
	for range 2 {
		if _, err := n.ear.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func (n *older) leave() { _, _ = n.ear.Close(), n.client.Close() }

func (n *older) write(row session.Row) {
	n.t.Helper()
	value, err := encode(&row)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.client.Do(n.t.Context(), "set", n.names.name(row.Key), value, "pxat", end(&row)).Err(); err != nil {
		n.t.Fatal(err)
	}
}

func (n *older) remove(key session.Key) {
	n.t.Helper()
	if err := n.client.Del(n.t.Context(), n.names.name(key)).Err(); err != nil {
		n.t.Fatal(err)
	}
}

// await waits until a store says so of its indexes.
func await(t *testing.T, s *Store, want bool) {
	t.Helper()
	for end := time.After(30 * time.Second); ; {
		got, err := s.Indexed(t.Context())
		if err == nil && got == want {
			return
		}
		select {
		case <-end:
			t.Fatalf("the indexes are whole: %v (%v), want %v", got, err, want)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ended ends all of a subject, as a vault does, and counts them.
func ended(t *testing.T, s *Store, subject string) int {
	t.Helper()
	v, err := session.New(s, tripsRing(t), session.Options{Now: time.Now, Renew: func(context.Context, session.Grant) session.Outcome { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close(t.Context()) }()
	n, err := v.EndSubject(t.Context(), "iss", subject, session.EndedAdmin)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func rowOf(t *testing.T, subject string) session.Row {
	row := someRow(time.Now().Add(time.Hour))
	row.Subject, row.Holder = tripsRing(t).Digest("subject", "iss", subject), tripsRing(t).Digest("holder subject", "iss", subject)
	return row
}

// While nodes of both kinds write, nothing is missed; afterwards all is found.
func TestRowsOfNodesThatKnowNoIndexesAreFound(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := at(server.Address())
	old := newOlder(t, o)
	for range 30 {
		old.write(rowOf(t, "alice"))
	}
	s := open(t, o)
	await(t, s, false)
	old.write(rowOf(t, "alice"))
	if n := ended(t, s, "alice"); n != 31 {
		t.Errorf("%d have ended beside an older node, want 31", n)
	}
	left, gone := rowOf(t, "alice"), rowOf(t, "alice")
	if err := s.Create(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	old.write(left)
	old.remove(gone.Key)
	old.leave()
	await(t, s, true)
	storetest.WantFound(t, s)

	// A node of before comes again for a while.
	old = newOlder(t, o)
	await(t, s, false)
	old.write(rowOf(t, "alice"))
	dead := left
	dead.Generation, dead.Dead = 2, true
	old.write(dead)
	old.leave()
	await(t, s, true)
	storetest.WantFound(t, s)
	if n := ended(t, s, "alice"); n != 1 {
		t.Errorf("%d have ended, want 1", n)
	}
}

// Without the rights to the indexes all goes on as before there were any.
func TestAUserWithoutTheRightsToIndexesIsServedByWalks(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, missing := range needed {
		if !strings.HasPrefix(missing, "+z") && missing != "+pexpireat" {
			continue
		}
		t.Run(missing, func(t *testing.T) {
			server.Do("FLUSHALL")
			s := open(t, user(t, server, needed...))
			await(t, s, true)
			user(t, server, without(needed, missing)...) // taken away while it is in use
			row := rowOf(t, "alice")
			if err := s.Create(t.Context(), row); err != nil {
				t.Fatal(err)
			}
			next := row
			next.Generation++
			if err := s.CompareAndSwap(t.Context(), row.Version(), next); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains([]string{"+zrange", "+zcount", "+zcard", "+zremrangebyscore"}, missing) {
				await(t, s, false)
				if n := ended(t, s, "alice"); n != 1 {
					t.Errorf("%d have ended, want 1", n)
				}
			}
			user(t, server, needed...)
			await(t, s, true)
			storetest.WantFound(t, s)
		})
	}
}

func TestOneNodeSweepsForAll(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := at(server.Address())
	nodes := []*Store{open(t, o), open(t, o), open(t, o)}
	idle := rowOf(t, "alice")
	idle.LastUsed = time.Now().Add(-2 * time.Hour)
	if err := nodes[0].Create(t.Context(), idle); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	found := 0
	for range 2 {
		for _, s := range nodes {
			keys, _, err := s.Due(t.Context(), now.Add(-time.Hour), now, func(*session.Row) bool { return true }, 10)
			if err != nil {
				t.Fatal(err)
			}
			found += len(keys)
		}
	}
	if found != 2 {
		t.Errorf("found %d times, want once for each round", found)
	}
}

// What a write costs in round trips is the same as without indexes.
func TestWhatKeepsTheIndexesCostsNoRoundTrip(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, at(server.Address()))
	storetest.Indexed(t, s)
	warm := rowOf(t, "bob")
	next := warm
	next.Generation++
	if err := s.Create(t.Context(), warm); err != nil {
		t.Fatal(err)
	}
	if err := s.CompareAndSwap(t.Context(), warm.Version(), next); err != nil {
		t.Fatal(err)
	}
	var h trips
	s.link.Load().client.AddHook(&h)
	row := rowOf(t, "alice")
	h.n.Store(0)
	if err := s.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	h.want(t, "a new row", 1)
	next = row
	next.Generation++
	if err := s.CompareAndSwap(t.Context(), row.Version(), next); err != nil {
		t.Fatal(err)
	}
	h.want(t, "a change", 1)
}

// A subject's set does not outlive its rows.
func TestTheSetsOfADigestVanishWithTheirLastRow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, at(server.Address()))
	storetest.Indexed(t, s)
	row := rowOf(t, "alice")
	for _, life := range []time.Duration{time.Hour, 1500 * time.Millisecond} {
		one := row
		one.Key, one.Until = session.NewHandle().Key(), time.Now().Add(life)
		if err := s.Create(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	left, err := s.link.Load().client.PTTL(t.Context(), s.under(session.BySubject, row.Subject)).Result()
	if err != nil || left < 59*time.Minute || left > time.Hour+time.Second {
		t.Errorf("the set lives for %s (%v), want as long as its last row", left, err)
	}
	storetest.Scramble(t, s, rand.New(rand.NewPCG(1, 1)), nil, 100)
	for end := time.After(20 * time.Second); ; {
		n, err := s.Number(t.Context(), session.BySubject, row.Subject)
		if n == 1 {
			return
		}
		select {
		case <-end:
			t.Fatal(n, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
