package redisstore

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

// Of a store that no configuration names any more nothing stays: no goroutine,
// and no connection to a server or a sentinel, also of options that it had once.
func TestAClosedStoreLeavesNothingBehind(t *testing.T) {
	c := redistest.StartCluster(t)
	for name, o := range map[string]Options{"one server": at(c.Master.Address()), "a sentinel": sentinelOf(c)} {
		t.Run(name, func(t *testing.T) {
			o.Timeout = time.Second
			clients := func() int {
				return strings.Count(c.Master.Do("CLIENT", "LIST", "TYPE", "normal"), "addr=") +
					strings.Count(c.Master.Do("CLIENT", "LIST", "TYPE", "pubsub"), "addr=") +
					strings.Count(c.Sentinel.Do("CLIENT", "LIST"), "addr=")
			}
			goroutines, connections := runtime.NumGoroutine(), clients()
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			stop := s.Wake(func(session.Key) {})
			for n := range 3 {
				o.Connections = 5 + n
				s.Apply(o)
				if err := s.Create(t.Context(), someRow(time.Now().Add(time.Hour))); err != nil {
					t.Fatal(err)
				}
			}
			if clients() <= connections {
				t.Fatal("there is no connection: the test shows nothing")
			}
			stop()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				g, n := runtime.NumGoroutine(), clients()
				if g <= goroutines && n <= connections {
					return
				}
				if time.Now().After(end) {
					stacks := make([]byte, 1<<16)
					t.Fatalf("%d goroutines more, %d connections more\n%s", g-goroutines, n-connections, stacks[:runtime.Stack(stacks, true)])
				}
			}
		})
	}
}

// The subscription belongs to the options of today: those of yesterday may open
// nothing any more.
func TestTheSubscriptionFollowsOtherOptions(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "first")
	o := at(server.Address())
	o.Timeout, o.Password = 500*time.Millisecond, session.NewSecret("first")
	s := open(t, o)
	heard := make(chan session.Key, 100)
	defer s.Wake(func(key session.Key) { heard <- key })()
	row := someRow(time.Now().Add(time.Hour))
	if err := s.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	admin := redis.NewClient(&redis.Options{Addr: server.Address(), Password: "first", Protocol: 2})
	defer func() { _ = admin.Close() }()
	if err := admin.Do(t.Context(), "acl", "setuser", "second", "on", ">word", "~*", "&*", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	o.Username, o.Password = "second", session.NewSecret("word")
	s.Apply(o)
	subscribed := func(user string) bool {
		list, err := admin.Do(t.Context(), "client", "list", "type", "pubsub").Text()
		return err == nil && strings.Contains(list, "user="+user)
	}
	for end := time.Now().Add(60 * time.Second); subscribed("default") || !subscribed("second"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not follow")
		}
	}
	next := row
	next.Generation++
	if err := s.CompareAndSwap(t.Context(), row.Version(), next); err != nil {
		t.Fatal(err)
	}
	select {
	case <-heard:
	case <-time.After(60 * time.Second):
		t.Error("nothing is heard")
	}
}
