package session

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// runModel is one run; it answers its story. The store is a new memory if there
// is none.
func runModel(t *testing.T, seed uint64, store Store) (story []string) {
	synctest.Test(t, func(t *testing.T) {
		inner := store
		if inner == nil {
			inner = NewMemory(time.Now)
		}
		w := newWorld(t, seed, inner)
		for range 5 + w.rnd.IntN(25) {
			time.Sleep(time.Duration(w.rnd.Int64N(int64(15 * time.Second))))
			w.act()
		}
		w.judge()
		story = w.story
	})
	return story
}

var modelRing, _ = NewKeyring(fillKey(7))

func newWorld(t *testing.T, seed uint64, inner Store) *world {
	w := &world{t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 0)), start: time.Now(), ring: modelRing,
		inner: inner, durable: map[string]bool{}, saved: "rt0"}
	p := new(parts)
	binary.BigEndian.PutUint64(p.lookup[:], seed)
	binary.BigEndian.PutUint64(p.secret[:], seed)
	w.h = handleOf(p)
	w.as = &modelAS{w: w, current: "rt0", rotated: map[string]time.Time{}, rts: map[string]*presented{},
		expiries: map[string]time.Time{}}
	w.o.OnUncertain = OnUncertain(w.rnd.IntN(2))
	if w.rnd.IntN(4) == 0 {
		w.o.ReuseGrace = 30 * time.Second
		w.as.grace = time.Minute
	}
	w.alone = w.rnd.IntN(3) == 0
	w.finds = w.rnd.IntN(3) > 0 || !w.walkable()
	if w.rnd.IntN(4) == 0 {
		w.kind = ByRunningAgain
	}
	for range 2 + w.rnd.IntN(3) {
		if w.boot(); w.alone {
			break
		}
	}
	life := modelLives[w.rnd.IntN(len(modelLives))]
	w.as.expiries["at0"] = w.start.Add(life)
	w.durable["at0"] = true
	g, answer := Grant{Issuer: "iss", Subject: w.subject()}, Granted{AccessToken: NewSecret("at0"), Refresh: NewSecret("rt0"), ExpiresIn: &life}
	if w.kind == ByRunningAgain {
		g.Kind, g.Credentials, answer.Refresh = w.kind, NewSecret("id:secret"), Secret{}
	}
	_, err := w.nodes[0].vault.create(t.Context(), w.h, Browser{}, g, answer, w.start)
	if err != nil {
		t.Fatal(err)
	}
	w.client.begin(w)
	return w
}

// boot starts one more node.
func (w *world) boot() *modelNode {
	n := &modelNode{w: w, number: len(w.nodes)}
	o := w.o
	o.Now, o.Renew, o.Node = time.Now, n.renew, ID{byte(n.number*60 + 1)}
	if w.seed%2 == 0 {
		o.Works = func(context.Context, Grant) bool { return w.seed%4 == 0 }
	}
	o.Observe = w.client.observe
	o.jitter = func(d time.Duration) time.Duration { return d * time.Duration(w.seed%7) / 7 }
	var err error
	if n.vault, err = New(n.booted(), w.ring, o); err != nil {
		w.t.Fatal(err)
	}
	w.nodes = append(w.nodes, n)
	return n
}

// someNode is up; there is always one.
func (w *world) someNode() *modelNode {
	first := w.rnd.IntN(len(w.nodes))
	for i := range w.nodes {
		if n := w.nodes[(first+i)%len(w.nodes)]; n.up() {
			return n
		}
	}
	return w.boot()
}

// act is one thing that users do.
func (w *world) act() {
	switch roll := w.rnd.IntN(100); {
	case roll < 4:
		w.end(w.someNode(), roll)
	case roll < 8 && len(w.nodes) < 8 && !w.alone:
		w.boot()
	case roll < 20:
		w.client.present(w, w.someNode())
	case roll < 24:
		w.sweep(w.someNode())
	default:
		for range 1 + w.rnd.IntN(4) {
			w.request(w.someNode(), w.rnd.IntN(10) == 0)
		}
	}
}

// end is the wish of the holder of the handle, or of an operator.
func (w *world) end(n *modelNode, how int) {
	ctx, a := w.actor(context.Background())
	outside, _ := w.actor(context.Background())
	w.wished = true
	w.requests.Go(func() {
		n.gate(outside, time.Second)
		var err error
		switch how {
		case 0:
			err = n.vault.EndKey(ctx, w.h.Key(), EndedLogout)
		case 1:
			err = n.vault.End(ctx, w.h, EndedLogout)
		default:
			modelSeen.count("ended by subject")
			_, err = n.vault.EndSubject(ctx, "iss", w.subject(), EndedLogout)
		}
		n.gate(outside, time.Millisecond)
		w.tell("actor %d ends the grant: %v", a.id, err)
		modelSeen.count("logout")
		w.mu.Lock()
		defer w.mu.Unlock()
		if err == nil && w.endedAt.IsZero() {
			w.endedAt = time.Now()
		}
	})
}

// request asks one node for a token and judges what it gets.
func (w *world) request(n *modelNode, impatient bool) {
	ctx, a := w.actor(context.Background())
	outside, _ := w.actor(context.Background())
	w.requests.Go(func() {
		n.gate(outside, time.Second)
		if impatient {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Duration(a.rnd.Int64N(int64(time.Second))))
			defer cancel()
		}
		w.served(ctx, outside, n, a)
	})
}

// served has two actors: what the request sets off inside may go on beside it.
func (w *world) served(ctx, outside context.Context, n *modelNode, a *actor) (Access, error) {
	if a.rnd.IntN(2) == 0 {
		n.vault.catchUp(outside, n.ear)
	}
	asked := time.Now()
	access, err := n.vault.Token(ctx, w.h)
	if t := n.vault.cache.followed.Load(); t != nil && !w.alone && within(staleMost, t.to, asked) && asked.Sub(t.from) > staleMost {
		modelSeen.count("asked after long hearing all")
	}
	at := time.Now()
	n.gate(outside, time.Millisecond) // who was woken together must not speak together
	if err != nil {
		w.tell("actor %d at node %d: %v", a.id, n.number, err)
		return access, err
	}
	token := access.Token.Reveal()
	w.tell("actor %d at node %d gets %s, unsaved %v", a.id, n.number, token, access.Unsaved)
	w.as.mu.Lock()
	alive := w.as.expiries[token].After(at)
	w.as.mu.Unlock()
	w.mu.Lock()
	durable, faults, ended := w.durable[token], w.faults+w.mishaps, !w.endedAt.IsZero() && !asked.Before(w.endedAt.Add(w.seenAfter()))
	w.mu.Unlock()
	switch {
	case !alive:
		w.fail("%s was handed out dead", token)
	case access.Unsaved && faults == 0:
		w.fail("I2: %s is not saved, and nothing has failed", token)
	case !access.Unsaved && !durable:
		w.fail("I2: %s is handed out and not saved", token)
	case ended && !access.Unsaved:
		w.fail("%s is handed out after the end", token)
	}
	if access.Unsaved {
		modelSeen.count("served unsaved")
	}
	return access, nil
}

// seenAfter is how late a node may learn what another one did.
func (w *world) seenAfter() time.Duration {
	if w.alone {
		return 1
	}
	return staleMost
}

// judge lets calm return and asks what became of the grant.
func (w *world) judge() {
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	w.requests.Wait()
	time.Sleep(3 * time.Minute) // leases lapse, pauses end, writes succeed
	for _, n := range w.nodes {
		if n.up() {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
			if err := n.vault.Close(ctx); err != nil {
				w.fail("node %d: %v", n.number, err)
			}
			cancel()
		}
		n.vault.stop()
	}
	n, err := w.boot(), error(nil)
	for range 12 {
		ctx, a := w.actor(context.Background())
		outside, _ := w.actor(context.Background())
		if _, err = w.served(ctx, outside, n, a); err == nil || errors.Is(err, ErrNoGrant) {
			break
		}
		time.Sleep(15 * time.Second)
	}
	w.as.mu.Lock()
	p, dead := w.as.rts[w.saved], w.as.dead
	w.as.mu.Unlock()
	w.judgeIndexes()
	switch {
	case err == nil && w.kind == ByRunningAgain:
		modelSeen.count("grant lives, run again")
	case err == nil && w.alone:
		modelSeen.count("grant lives, alone")
	case err == nil:
		modelSeen.count("grant lives")
	case !errors.Is(err, ErrNoGrant):
		w.fail("the grant is stuck: %v", err)
	case w.wished:
		modelSeen.count("grant ended")
	case w.kind == ByRunningAgain && w.disowned:
		modelSeen.count("client disowned")
	case w.kind == ByRunningAgain:
		w.fail("the grant is lost, though it could have been run again")
	case p != nil && p.doubts > 0, dead:
		modelSeen.count("grant lost to an unknown outcome")
	case w.mishaps > 0:
		modelSeen.count("grant lost to a death or a sleep")
	default:
		w.fail("the grant is lost without a cause")
	}
	if err := n.vault.Close(context.Background()); err != nil {
		w.fail("closing: %v", err)
	}
}
