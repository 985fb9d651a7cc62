package redisstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/session/storetest"
	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

// at are usual options for a server.
func at(address ...string) Options {
	return Options{Address: address, Prefix: "grants", Timeout: 5 * time.Second, Connections: 16}
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestRedisKeepsWhatAStoreKeeps(t *testing.T) {
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T) session.Store {
		server.Do("FLUSHALL")
		return open(t, at(server.Address()))
	})
}

func TestRedisWithAReplicaKeepsWhatAStoreKeeps(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	storetest.Run(t, func(t *testing.T) session.Store {
		c.Master.Do("FLUSHALL")
		o := at(c.Sentinel.Address())
		o.Sentinel, o.Replicas = redistest.MasterName, 1
		return open(t, o)
	})
}

func someRow(until time.Time) session.Row {
	now := time.Now()
	return session.Row{Key: session.NewHandle().Key(), Generation: 1, Created: now, LastUsed: now, Until: until, Sealed: []byte("sealed")}
}

func TestARowVanishesAtItsEnd(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, at(server.Address()))
	row, lasting := someRow(time.Now().Add(1500*time.Millisecond)), someRow(time.Now().Add(time.Hour))
	for _, r := range []session.Row{row, lasting} {
		if err := s.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Load(t.Context(), row.Key); err != nil {
		t.Fatal("gone before its end: ", err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, err := s.Load(t.Context(), row.Key)
		if errors.Is(err, session.ErrNotFound) {
			break
		}
		if err != nil || time.Now().After(end) {
			t.Fatal("it does not vanish: ", err)
		}
	}
	if _, err := s.Load(t.Context(), lasting.Key); err != nil {
		t.Error(err)
	}
}

func TestStoresWithOtherPrefixesOrDatabasesSeeNothingOfEachOther(t *testing.T) {
	server := redistest.Start(t)
	row := someRow(time.Now().Add(time.Hour))
	for n, change := range []func(*Options){func(*Options) {}, func(o *Options) { o.Prefix = "grants:2" }, func(o *Options) { o.Database = 3 }} {
		o := at(server.Address())
		change(&o)
		s := open(t, o)
		if err := s.Create(t.Context(), row); err != nil {
			t.Errorf("%d: %v", n, err)
		}
		seen := 0
		if err := s.Each(t.Context(), func(session.Row) bool { seen++; return true }); err != nil || seen != 1 {
			t.Errorf("%d: %d rows, %v", n, seen, err)
		}
	}
}

func TestWhatStandsInARowsPlaceIsNoRow(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, at(server.Address()))
	row, other := someRow(time.Now().Add(time.Hour)), someRow(time.Now().Add(time.Hour))
	if err := s.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	good, err := encode(&row)
	if err != nil {
		t.Fatal(err)
	}
	foreign, _ := encode(&other)
	older := append([]byte(nil), good...)
	older[7]-- // the version in front alone
	for name, value := range map[string]string{
		"short": "x", "cut": string(good[:len(good)-3]), "another's": string(foreign), "another version": string(older),
		"too large": string(make([]byte, mostRow+10)),
	} {
		server.Do("SET", s.name(row.Key), value)
		if _, err := s.Load(t.Context(), row.Key); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	server.Do("DEL", s.name(row.Key))
	server.Do("LPUSH", s.name(row.Key), "x")
	if _, err := s.Load(t.Context(), row.Key); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Errorf("a list: %v", err)
	}
	row.Sealed = make([]byte, mostRow)
	if err := s.Create(t.Context(), row); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

// A script that the server does not know any more is sent again.
func TestAServerThatForgotTheScriptsGetsThemAgain(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, at(server.Address()))
	for range 2 {
		row := someRow(time.Now().Add(time.Hour))
		if err := s.Create(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		if err := s.CompareAndSwap(t.Context(), row.Version(), row); err != nil {
			t.Fatal(err)
		}
		server.Do("SCRIPT", "FLUSH")
	}
}

func TestAServerThatIsDownIsAFailureUntilItIsBack(t *testing.T) {
	server := redistest.Start(t)
	o := at(server.Address())
	o.Timeout = time.Second
	s := open(t, o)
	row := someRow(time.Now().Add(time.Hour))
	server.Kill()
	if _, err := Open(t.Context(), o); err == nil {
		t.Error("opened though nobody answers")
	}
	_, load := s.Load(t.Context(), row.Key)
	for name, err := range map[string]error{"load": load, "create": s.Create(t.Context(), row), "swap": s.CompareAndSwap(t.Context(), row.Version(), row)} {
		if err == nil || errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	server.Again()
	if err := s.Create(t.Context(), row); err != nil {
		t.Error("the server is back, and the store is not: ", err)
	}
	heard := make(chan session.Key, 100)
	defer s.Wake(func(key session.Key) { heard <- key })()
	next := row
	for end := time.After(20 * time.Second); ; {
		next.Generation++
		if err := s.CompareAndSwap(t.Context(), row.Version(), next); err != nil {
			t.Fatal(err)
		}
		row = next
		select {
		case <-heard:
			return
		case <-end:
			t.Fatal("the subscription has not come back")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// What was published without a subscriber is lost: then the line is another one.
func TestALineThatBrokeIsAnotherOne(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, at(server.Address()))
	ask := func() (line uint64) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			line, err := s.CatchUp(t.Context())
			if err == nil {
				return line
			}
			if time.Now().After(end) {
				t.Fatal(err)
			}
		}
	}
	first := ask()
	if again := ask(); again != first {
		t.Errorf("line %d and %d, and nothing has happened", first, again)
	}
	server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	for end := time.Now().Add(20 * time.Second); ask() == first; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the line broke, and is the same")
		}
	}
	second := ask()
	s.Apply(func() Options { o := at(server.Address()); o.Connections++; return o }())
	for end := time.Now().Add(20 * time.Second); ask() == second; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the client is another one, and the line is the same")
		}
	}
	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.CatchUp(ctx); err == nil {
		t.Error("it says that it was told of all, and the server says nothing")
	}
	server.Resume()
	ask()
}

// A server that stops in the middle holds no caller longer than the time-out.
func TestAPausedServerIsAFailureWithinTheTimeOut(t *testing.T) {
	server := redistest.Start(t)
	o := at(server.Address())
	o.Timeout = time.Second
	s := open(t, o)
	server.Pause()
	defer server.Resume()
	began := time.Now()
	if _, err := s.Load(t.Context(), session.Key{}); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestOtherOptionsApplyToAnOpenStore(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, at(server.Address()))
	row := someRow(time.Now().Add(time.Hour))
	if err := s.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	server.Do("ACL", "SETUSER", "second", "on", ">word", "~*", "&*", "+@all")
	o := at(server.Address())
	o.Username, o.Password = "second", session.NewSecret("wrong")
	s.Apply(o)
	if _, err := s.Load(t.Context(), row.Key); err == nil {
		t.Error("a wrong password, and no failure: the new options do not apply")
	}
	o.Password = session.NewSecret("word")
	s.Apply(o)
	if _, err := s.Load(t.Context(), row.Key); err != nil {
		t.Error(err)
	}
}
