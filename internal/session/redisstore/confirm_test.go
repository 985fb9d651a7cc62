package redisstore

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

// silentReplica is a store with a row, whose master's replica stops then.
func silentReplica(t *testing.T) (c *redistest.Cluster, s *Store, row session.Row) {
	t.Helper()
	c = redistest.StartCluster(t)
	s = open(t, sentinelOf(c))
	row = someRow(time.Now().Add(time.Hour))
	if err := s.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	c.Replica.Pause()
	t.Cleanup(c.Replica.Resume)
	return c, s, row
}

// A write that no replica has is shown by the master, and not called lasting:
// neither by the same write again, nor by a read of it, on whichever
// connection.
func TestWhatNoReplicaHasIsNotConfirmedOnAnyConnection(t *testing.T) {
	t.Parallel()
	c, s, row := silentReplica(t)
	next := row
	next.Generation++
	for n := range 2 {
		if err := s.CompareAndSwap(t.Context(), row.Version(), next); !errors.Is(err, ErrUnconfirmed) {
			t.Fatalf("write %d: %v", n, err)
		}
		c.Master.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	}
	if there, err := s.Load(t.Context(), row.Key); err != nil || there.Generation != next.Generation {
		t.Fatalf("the master does not show it: %d, %v", there.Generation, err)
	}
	c.Master.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	if _, err := s.Confirmed(t.Context(), row.Key); !errors.Is(err, ErrUnconfirmed) {
		t.Fatalf("asked: %v", err)
	}
	c.Replica.Resume()
	if err := s.CompareAndSwap(t.Context(), row.Version(), next); !errors.Is(err, session.ErrConflict) {
		t.Errorf("once the replica is back: %v", err)
	}
	if there, err := s.Confirmed(t.Context(), row.Key); err != nil || there.Generation != next.Generation {
		t.Errorf("%d, %v", there.Generation, err)
	}
	if ttl := c.Master.Do("TTL", s.name(row.Key)); ttl == ":-1" || ttl == ":-2" {
		t.Errorf("it has no end any more: %s", ttl)
	}
}
