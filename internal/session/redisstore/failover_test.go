package redisstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

// strictAS rotates each RT at its only use, and counts what is presented.
type strictAS struct {
	life   time.Duration
	before func() // what happens while it is asked

	mu        sync.Mutex
	issued    int
	presented map[string]int
}

func (a *strictAS) answer() session.Granted {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.issued++
	return session.Granted{AccessToken: session.NewSecret(fmt.Sprint("at", a.issued)),
		Refresh: session.NewSecret(fmt.Sprint("rt", a.issued)), ExpiresIn: &a.life}
}

func (a *strictAS) renew(_ context.Context, g session.Grant) session.Outcome {
	if a.before != nil {
		a.before()
	}
	a.mu.Lock()
	a.presented[g.Refresh.Reveal()]++
	again := a.presented[g.Refresh.Reveal()] > 1
	a.mu.Unlock()
	if again {
		return session.Refused{Err: errors.New("reuse")}
	}
	return a.answer()
}

func (a *strictAS) calls() (calls int, twice []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for rt, n := range a.presented {
		if calls += n; n > 1 {
			twice = append(twice, rt)
		}
	}
	return calls, twice
}

func newAS(life time.Duration) *strictAS { return &strictAS{life: life, presented: map[string]int{}} }

func (a *strictAS) vault(t *testing.T, o Options) *session.Vault {
	t.Helper()
	ring, err := session.NewKeyring(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	v, err := session.New(open(t, o), ring, session.Options{Now: time.Now, Renew: a.renew,
		TokenTimeout: 2 * time.Second, Lease: 60 * time.Second, RefreshWait: 20 * time.Second,
		BackOffMin: 100 * time.Millisecond, BackOffMax: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return v
}

func (a *strictAS) grant(t *testing.T, v *session.Vault) session.Handle {
	t.Helper()
	h, _, err := v.Create(t.Context(), session.Grant{Issuer: "iss"}, a.answer(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func sentinelOf(c *redistest.Cluster) Options {
	o := at(c.Sentinel.Address())
	o.Sentinel, o.Replicas, o.Timeout = redistest.MasterName, 1, 2*time.Second
	return o
}

// wantServed asks until the grant is served by a pair that is saved.
func wantServed(t *testing.T, v *session.Vault, h session.Handle) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		access, err := v.Token(t.Context(), h)
		if err == nil && !access.Unsaved {
			return
		}
		if errors.Is(err, session.ErrNoGrant) || time.Now().After(end) {
			t.Fatalf("not served, unsaved %v: %v", access.Unsaved, err)
		}
	}
}

// Three nodes use forty grants all the time, whose tokens live for two seconds,
// when the master dies.
func TestAFailoverLosesNoGrantAndPresentsNothingTwice(t *testing.T) {
	t.Parallel()
	c, as := redistest.StartCluster(t), newAS(2*time.Second)
	var nodes []*session.Vault
	for range 3 {
		nodes = append(nodes, as.vault(t, sentinelOf(c)))
	}
	var handles []session.Handle
	for range 40 {
		handles = append(handles, as.grant(t, nodes[0]))
	}
	done := make(chan struct{})
	var load sync.WaitGroup
	for n := range 3 * len(handles) {
		load.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(50 * time.Millisecond):
				}
				_, err := nodes[n%3].Token(t.Context(), handles[n/3])
				if errors.Is(err, session.ErrNoGrant) {
					t.Error("a grant is lost")
					return
				}
			}
		})
	}
	renewals := func(more int) {
		t.Helper()
		before, _ := as.calls()
		for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if calls, _ := as.calls(); calls >= before+more {
				return
			}
			if time.Now().After(end) {
				t.Error("nothing is renewed any more")
				return
			}
		}
	}
	renewals(len(handles))
	c.Master.Kill()
	c.AwaitFailover()
	// The server that is left has no replica: until the other one is back,
	// nothing is renewed that another failover could undo.
	c.ReplaceReplica()
	renewals(2 * len(handles))
	close(done)
	load.Wait()
	for _, h := range handles {
		wantServed(t, nodes[1], h)
	}
	if calls, twice := as.calls(); len(twice) > 0 {
		t.Errorf("of %d presentations some are second ones: %v", calls, twice)
	}
}

// expired is a grant at a master whose access token has run out.
func expired(t *testing.T, o Options) (as *strictAS, v *session.Vault, h session.Handle) {
	t.Helper()
	as = newAS(time.Second)
	v = as.vault(t, o)
	h = as.grant(t, v)
	as.mu.Lock()
	as.life = time.Hour
	as.mu.Unlock()
	<-time.After(time.Second)
	return as, v, h
}

// A failover would undo the intent, and the RT would be presented again.
func TestOnAnIntentThatNoReplicaHasNothingIsPresented(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	as, v, h := expired(t, sentinelOf(c))
	c.Replica.Pause()
	defer c.Replica.Resume()
	for range 2 {
		_, err := v.Token(t.Context(), h)
		if _, ours := errors.AsType[*session.Unavailable](err); !ours {
			t.Errorf("got %v, want a failure", err)
		}
	}
	if calls, _ := as.calls(); calls != 0 {
		t.Errorf("%d presentations on an intent that may get lost", calls)
	}
	c.Replica.Resume()
	wantServed(t, v, h)
	if calls, _ := as.calls(); calls != 1 {
		t.Errorf("%d presentations, want one", calls)
	}
}

// The master shows the pair, and dies with it: the node that got it has not let
// go of it.
func TestAPairThatNoReplicaHadOutlivesTheMaster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	as, v, h := expired(t, sentinelOf(c))
	as.before = func() {
		c.Replica.Pause()
		c.Master.Do("CLIENT", "KILL", "TYPE", "replica") // else it would find the pair on its line
	}
	defer c.Replica.Resume()
	if _, err := v.Token(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	as.before = nil
	<-time.After(3 * time.Second) // that it goes on trying cannot be seen from here
	c.Master.Kill()
	c.Replica.Resume()
	c.AwaitFailover()
	c.ReplaceReplica()
	wantServed(t, v, h)
	if calls, _ := as.calls(); calls != 1 {
		t.Errorf("%d presentations, want one", calls)
	}
}

// While nothing can be confirmed, what lives is served.
func TestALiveTokenIsServedWithoutReplicas(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	as := newAS(20 * time.Second) // due after 16 to 17 seconds
	v := as.vault(t, sentinelOf(c))
	h := as.grant(t, v)
	c.Replica.Pause()
	defer c.Replica.Resume()
	for end := time.Now().Add(17500 * time.Millisecond); time.Now().Before(end); <-time.After(100 * time.Millisecond) {
		if _, err := v.Token(t.Context(), h); err != nil {
			t.Fatalf("%v before the token's end: %v", time.Until(end), err)
		}
	}
	if err := v.End(t.Context(), h, session.EndedLogout); err == nil {
		t.Error("an end that may be undone is called one")
	}
	if err := v.End(t.Context(), h, session.EndedLogout); err == nil || errors.Is(err, session.ErrNoGrant) {
		t.Errorf("asked again: %v", err)
	}
	c.Replica.Resume()
	if calls, _ := as.calls(); calls != 0 {
		t.Errorf("%d presentations", calls)
	}
}

// The other way round: what may get lost gets lost, where no request waits.
func TestWithoutWaitingForReplicasAnIntentMayGetLost(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	o := sentinelOf(c)
	o.Replicas = 0
	as, v, h := expired(t, o)
	c.Replica.Pause()
	defer c.Replica.Resume()
	wantServed(t, v, h)
	if calls, _ := as.calls(); calls != 1 {
		t.Errorf("%d presentations: the tests beside this one show nothing", calls)
	}
}

// Many writes wait for a replica that does not answer, each on a connection of
// its own. What only has to be read does not wait behind them.
func TestWritesThatAreNotConfirmedLeaveRoomForReading(t *testing.T) {
	t.Parallel()
	_, s, row := silentReplica(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	var writes sync.WaitGroup
	defer writes.Wait()
	for range 200 {
		writes.Go(func() {
			if err := s.Create(ctx, someRow(time.Now().Add(time.Hour))); err == nil {
				t.Error("a write that no replica has is called one")
			}
		})
	}
	for ctx.Err() == nil {
		if _, err := s.Load(t.Context(), row.Key); err != nil {
			t.Fatalf("nothing can be read: %v", err)
		}
		<-time.After(50 * time.Millisecond)
	}
}
