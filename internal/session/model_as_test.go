package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// modelAS rotates at each use and ends the grant when it sees an old RT, unless
// that was rotated within its grace. It counts what is presented to it.
type modelAS struct {
	w     *world
	grace time.Duration

	mu       sync.Mutex
	current  string
	issued   int
	rotated  map[string]time.Time
	dead     bool
	rts      map[string]*presented
	expiries map[string]time.Time
	denial   modelDenial
}

// presented is what became of one RT.
type presented struct {
	now    int       // under way: never more than one
	doubts int       // ended without a definite answer for the presenter
	left   time.Time // when the last one ended
	done   bool      // the store holds its successor
}

var errModelAS = errors.New("the authorization server does not answer")

func (s *modelAS) pair() (at, rt string) {
	s.issued++
	return fmt.Sprint("at", s.issued), fmt.Sprint("rt", s.issued)
}

// arrive judges a presentation by I1, then notes it as one of unknown outcome
// until its answer has arrived.
func (s *modelAS) arrive(n *modelNode, g *Grant) *presented {
	s.mu.Lock()
	defer s.mu.Unlock()
	rt, now := g.Refresh.Reveal(), time.Now()
	p := s.rts[rt]
	if p == nil {
		p = &presented{}
		s.rts[rt] = p
	}
	allowed, grace := 1<<20, s.w.o.ReuseGrace
	if s.w.o.OnUncertain == Reauth {
		if allowed = 1; grace == 0 {
			allowed = 0
		}
	}
	switch {
	case g.Kind == ByRunningAgain: // as often as one likes, but not twice at once
		if p.now > 0 {
			s.w.fail("node %d runs the grant again while it is being run", n.number)
		}
	case p.now > 0:
		s.w.fail("I1: node %d presents %s while it is being presented", n.number, rt)
	case p.done:
		s.w.fail("I1: node %d presents %s, whose successor is stored", n.number, rt)
	case p.doubts > allowed:
		s.w.fail("I1: node %d presents %s with %d unknown outcomes", n.number, rt, p.doubts)
	case p.doubts > 0 && (grace == 0 || p.doubts > 1) && g.Expiry.After(now):
		s.w.fail("I1: node %d retries %s while its AT lives", n.number, rt)
	case p.doubts > 1 && now.Sub(p.left) < s.w.o.BackOffMin:
		s.w.fail("node %d presents %s again after %v", n.number, rt, now.Sub(p.left))
	}
	if p.doubts > 1 {
		modelSeen.count(fmt.Sprintf("presented %d times and more", min(p.doubts+1, 5)))
	}
	p.now++
	p.doubts++
	s.w.tell("node %d presents %s", n.number, rt)
	return p
}

// sure takes the doubt back: the presenter has learned that nothing happened.
func (s *modelAS) sure(p *presented) { s.mu.Lock(); p.doubts--; s.mu.Unlock() }

func (s *modelAS) gone(p *presented) { s.mu.Lock(); p.now, p.left = p.now-1, time.Now(); s.mu.Unlock() }

// decide is the AS's own view of a presented RT.
func (s *modelAS) decide(rt string, rotate bool, life time.Duration) (answer Granted, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.rotated[rt]
	switch {
	case s.dead:
		return Granted{}, false
	case rt == "": // run again
		s.issued++
		answer.AccessToken = NewSecret(fmt.Sprint("at", s.issued))
	case rt == s.current && !rotate:
		s.issued++
		answer.AccessToken = NewSecret(fmt.Sprint("at", s.issued))
	case rt == s.current || ok && time.Since(at) < s.grace:
		if rt == s.current {
			s.rotated[rt] = time.Now()
		}
		a, r := s.pair()
		s.current = r
		answer.AccessToken, answer.Refresh = NewSecret(a), NewSecret(r)
	default:
		s.dead = true
		return Granted{}, false
	}
	answer.ExpiresIn = &life
	s.expiries[answer.AccessToken.Reveal()] = time.Now().Add(life)
	return answer, true
}

// useless: an AT of another clock has run out before it came.
func (s *modelAS) useless(at string) { s.mu.Lock(); s.expiries[at] = time.Time{}; s.mu.Unlock() }

// saved: the store holds a new generation. Its RT's predecessor is never seen
// again; if the AS did not rotate, the RT is as good as new.
func (s *modelAS) saved(before, rt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch p := s.rts[before]; {
	case p == nil:
	case before != rt:
		p.done = true
	default:
		p.doubts = p.now
	}
}

// work lets the AS take its time, whatever the node does meanwhile: dead or
// asleep, it has asked. It answers whether the node still listens.
func (s *modelAS) work(ctx context.Context, a *actor, most time.Duration) bool {
	at := time.Now().Add(time.Duration(a.rnd.Int64N(int64(most))))
	deadline, _ := ctx.Deadline()
	if at.Before(deadline) {
		a.sleepUntil(at)
		return ctx.Err() == nil
	}
	a.sleepUntil(deadline)
	return false
}

var modelLives = []time.Duration{time.Second, 6 * time.Second, 30 * time.Second, 100 * time.Second}

// renew is Options.Renew of a node.
func (n *modelNode) renew(ctx context.Context, g Grant) Outcome {
	w, s := n.w, n.w.as
	a := n.gate(ctx, 20*time.Millisecond)
	n.mishap(ctx, a, "before the call")
	fate := 100
	if !w.isCalm() {
		fate = a.rnd.IntN(100)
	}
	if fate < 5 || ctx.Err() != nil {
		return NotSent{errModelAS}
	}
	p := s.arrive(n, &g)
	slow := 300 * time.Millisecond
	if fate < 15 {
		slow = 12 * time.Second
	}
	listens := s.work(ctx, a, slow)
	if listens && g.Kind == ByRunningAgain && s.deny(a, w.isCalm()) {
		s.gone(p)
		n.gate(ctx, time.Millisecond)
		n.mishap(ctx, a, "before a denial arrives")
		modelSeen.count("denied")
		return BadClient{errModelAS}
	}
	if fate >= 15 && fate < 25 {
		s.gone(p)
		n.gate(ctx, time.Millisecond)
		n.mishap(ctx, a, "before a failure arrives")
		if !listens || ctx.Err() != nil {
			return Unknown{Err: ctx.Err()}
		}
		s.sure(p)
		modelSeen.count("503")
		if fate < 18 && g.Kind != ByRunningAgain {
			return BadClient{errModelAS}
		}
		return Unconsumed{Err: errModelAS, RetryAfter: time.Duration(a.rnd.IntN(3)) * 5 * time.Second, Works: a.rnd.IntN(4) == 0}
	}
	// It answers also a client that has hung up.
	answer, ok := s.decide(g.Refresh.Reveal(), fate < 93, modelLives[a.rnd.IntN(len(modelLives))])
	if listens {
		listens = s.work(ctx, a, slow)
	}
	s.gone(p)
	n.gate(ctx, time.Millisecond)
	n.mishap(ctx, a, "before the answer arrives")
	switch {
	case !listens || fate >= 25 && fate < 32:
		modelSeen.count("answer lost")
		w.tell("node %d: the answer gets lost", n.number)
		if listens && fate < 28 && !answer.Refresh.Empty() {
			modelSeen.count("salvaged")
			return Unknown{errModelAS, answer.Refresh}
		}
		return Unknown{Err: errModelAS}
	case !ok:
		modelSeen.count("refused")
		w.tell("node %d: refused", n.number)
		return Refused{errModelAS}
	}
	if answer.Refresh.Empty() {
		s.sure(p) // not rotated, and the node knows
	}
	if fate >= 88 && fate < 93 && !w.isCalm() {
		modelSeen.count("untimely")
		w.tell("node %d gets %s, by another clock", n.number, answer.AccessToken.Reveal())
		s.useless(answer.AccessToken.Reveal())
		return Untimely{Answer: answer, Err: errModelAS}
	}
	modelSeen.count("granted")
	w.tell("node %d gets %s", n.number, answer.AccessToken.Reveal())
	return answer
}
