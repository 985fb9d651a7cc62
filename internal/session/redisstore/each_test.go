package redisstore

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

func createMany(t *testing.T, s *Store, n int) map[session.Key]bool {
	t.Helper()
	all := map[session.Key]bool{}
	for range n {
		row := someRow(time.Now().Add(time.Hour))
		if err := s.Create(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		all[row.Key] = true
	}
	return all
}

// One that cannot be read, of a newer version perhaps, hides no other.
func TestRecordsThatCannotBeReadAreAnErrorAfterAllOthersWereShown(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, at(server.Address()))
	missing := createMany(t, s, 3*atOnce)
	server.Do("SET", s.name(session.NewHandle().Key()), fmt.Sprintf("%600s", "x"))
	server.Do("SET", s.name(session.NewHandle().Key()), "x")
	server.Do("LPUSH", s.name(session.NewHandle().Key()), "x")
	err := s.Each(t.Context(), func(row session.Row) bool { delete(missing, row.Key); return true })
	if _, unread := errors.AsType[*session.Unread](err); !unread || !errors.Is(err, ErrDamaged) || len(missing) > 0 {
		t.Errorf("%d rows were not shown: %v", len(missing), err)
	}
}

// Another server has its rows in another order: to go on there would skip some,
// and call the walk complete.
func TestAWalkThatAFailoverCutShortIsAnError(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	s := open(t, sentinelOf(c))
	missing := createMany(t, s, 4*atOnce)
	over := false
	err := s.Each(t.Context(), func(row session.Row) bool {
		if !over {
			over = true
			c.Master.Kill()
			c.AwaitFailover()
			for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				if _, err := s.Now(t.Context()); err == nil {
					break
				} else if time.Now().After(end) {
					t.Fatal(err)
				}
			}
		}
		delete(missing, row.Key)
		return true
	})
	if err == nil {
		t.Errorf("%d of %d rows were not shown, and no error", len(missing), 4*atOnce)
	}
}
