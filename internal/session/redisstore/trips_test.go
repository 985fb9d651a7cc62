package redisstore

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/session/storetest"
	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

// trips counts round trips: a pipeline is one. The greetings of new connections
// do not count, nor what a node does however little it is asked.
type trips struct {
	n   atomic.Int64
	all sync.Map // for the story, if it was another number
}

func (h *trips) count(cmds ...redis.Cmder) {
	for _, cmd := range cmds {
		switch cmd.Name() {
		case "hello", "auth", "select", "ping", "publish":
			return
		}
	}
	h.all.Store(h.n.Add(1), fmt.Sprint(cmds[0].Name(), " of ", len(cmds)))
}

func (h *trips) want(t *testing.T, what string, want int64) {
	t.Helper()
	if n := h.n.Swap(0); n != want {
		t.Errorf("%d round trips for %s, want %d", n, what, want)
		for i := range n {
			t.Log(h.all.Load(i + 1))
		}
	}
}

func (h *trips) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (h *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { h.count(cmd); return next(ctx, cmd) }
}

func (h *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { h.count(cmds...); return next(ctx, cmds) }
}

// vault is a new node on the server, whose round trips are counted.
func (h *trips) vault(t testing.TB, ring *session.Keyring, o Options, renew func(context.Context, session.Grant) session.Outcome) *session.Vault {
	t.Helper()
	s := open(t, o)
	storetest.Indexed(t, s) // what a node does for that is no request's
	s.link.Load().client.AddHook(h)
	v, err := session.New(s, ring, session.Options{Now: time.Now, Renew: renew})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func tripsRing(t testing.TB) *session.Keyring {
	t.Helper()
	ring, err := session.NewKeyring(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// However seldom a session is used, it is not read again for a while.
func TestASessionThatDoesNotChangeCostsNoRoundTripForLong(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ring, as := tripsRing(t), newAS(time.Hour)
	var first, second trips
	h := as.grant(t, first.vault(t, ring, at(server.Address()), as.renew))
	v := second.vault(t, ring, at(server.Address()), as.renew)
	token := func() {
		t.Helper()
		if _, err := v.Token(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	token()
	<-time.After(1500 * time.Millisecond) // it has to hear for some time before it believes
	token()
	for range 5 {
		second.n.Store(0)
		<-time.After(1500 * time.Millisecond)
		if token(); second.n.Load() == 0 {
			return
		}
	}
	t.Error("it is read each time") // a slow machine may let it be read once or twice
}

func TestAColdSessionCostsOneRoundTripAWarmOneNoneAndARefreshFive(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	ring, as := tripsRing(t), newAS(3*time.Second)
	for name, o := range map[string]Options{"without replicas": at(c.Master.Address()), "with a replica": sentinelOf(c)} {
		t.Run(name, func(t *testing.T) {
			var first, second trips
			node := first.vault(t, ring, o, as.renew)
			if err := node.End(t.Context(), as.grant(t, node), session.EndedLogout); err != nil { // now the server knows the script
				t.Fatal(err)
			}
			h := as.grant(t, node)
			v := second.vault(t, ring, o, as.renew)
			token := func() {
				t.Helper()
				if _, err := v.Token(t.Context(), h); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			token()
			second.want(t, "a cold session", 1)
			for range 1000 {
				token()
			}
			if time.Since(began) < time.Second { // else the machine has slept
				second.want(t, "a warm session", 0)
			}
			second.n.Store(0)
			<-time.After(3 * time.Second)
			token()
			// It is found run out, read anew for the flight, and then there are the
			// clock, the intent and the outcome.
			second.want(t, "a refresh", 5)
		})
	}
}

// BenchmarkToken is a live grant at a node that knows it, and at one that has to
// read it, over loopback.
func BenchmarkToken(b *testing.B) {
	server := redistest.Start(b)
	ring := tripsRing(b)
	life := time.Hour
	var h trips
	v := h.vault(b, ring, at(server.Address()), func(context.Context, session.Grant) session.Outcome { return nil })
	var handles []session.Handle
	for range 20_000 {
		handle, _, err := v.Create(b.Context(), session.Grant{Issuer: "iss", Subject: "sub"},
			session.Granted{AccessToken: session.NewSecret(string(make([]byte, 1200))), Refresh: session.NewSecret("rt"), ExpiresIn: &life}, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		handles = append(handles, handle)
	}
	for name, n := range map[string]int{"warm": 1, "cold": len(handles)} {
		b.Run(name, func(b *testing.B) {
			h.n.Store(0)
			asked := 0
			for b.Loop() {
				if _, err := v.Token(b.Context(), handles[asked%n]); err != nil {
					b.Fatal(err)
				}
				asked++
			}
			b.ReportMetric(float64(h.n.Load())/float64(asked), "trips/op")
		})
	}
}
