package streams

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// ticking are the rooms of this process with something in them, or a gateway that
// may bring something. One goroutine looks after all.
var ticking struct {
	mu    sync.Mutex
	rooms map[*Room]struct{}
}

func (m *Room) begin() {
	ticking.mu.Lock()
	defer ticking.mu.Unlock()
	if !m.ticks.CompareAndSwap(false, true) {
		return
	}
	if ticking.rooms == nil {
		ticking.rooms = map[*Room]struct{}{}
		go tick()
	}
	ticking.rooms[m] = struct{}{}
}

func tick() {
	each := time.NewTicker(tickEach)
	defer each.Stop()
	for range each.C {
		ticking.mu.Lock()
		rooms := make([]*Room, 0, len(ticking.rooms))
		for m := range ticking.rooms {
			rooms = append(rooms, m)
		}
		ticking.mu.Unlock()
		for _, m := range rooms {
			m.tick()
		}
		if sweepRooms() {
			return
		}
	}
}

// sweepRooms forgets the rooms that nothing will come into, and reports whether there
// is none left.
func sweepRooms() (none bool) {
	ticking.mu.Lock()
	defer ticking.mu.Unlock()
	for m := range ticking.rooms {
		if m.isOver() {
			delete(ticking.rooms, m) // it ticks no more, and begins no more
			m.Over()
		}
	}
	if none = len(ticking.rooms) == 0; none {
		ticking.rooms = nil
	}
	return none
}

// isOver reports whether nothing is in the room, and nothing will come.
func (m *Room) isOver() bool {
	m.mu.Lock()
	over := m.closed && len(m.open) == 0
	m.mu.Unlock()
	for i := range m.recent {
		s := &m.recent[i]
		s.mu.Lock()
		over = over && s.list.next == &s.list
		s.mu.Unlock()
	}
	return over
}

// tick takes in what has lasted for more than a moment, and looks at what is due.
func (m *Room) tick() {
	epoch := m.epoch.Add(1)
	var lasting []*exchange
	for i := range m.recent {
		lasting = append(lasting, m.recent[i].lasting(epoch)...)
	}
	m.mu.Lock()
	empty := len(lasting)+len(m.open) == 0
	m.mu.Unlock()
	if empty {
		return
	}
	now := m.Now()
	for _, x := range lasting {
		m.add(x, now)
	}
	m.mu.Lock()
	var due []*exchange
	for len(m.open) > 0 && !m.open[0].due.After(now) {
		x := m.open[0]
		m.due(x)
		due = append(due, x)
	}
	m.mu.Unlock()
	for _, x := range due {
		m.hand(x)
	}
}

// lasting takes off the list what began some ticks ago. The oldest are at its end.
func (s *recent) lasting(epoch uint32) (old []*exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := s.list.prev; x != &s.list && epoch-x.epoch >= momentTicks; x = s.list.prev {
		x.prev.next, x.next.prev = x.next, x.prev
		x.prev, x.next = nil, nil
		old = append(old, x)
	}
	return old
}

// add takes an exchange in. What was taken back just when it began may have come
// too late for the judgement that let it in.
func (m *Room) add(x *exchange, now time.Time) {
	x.began = now.Add(-momentTicks * tickEach)
	x.due = m.next(x, x.due, now)
	m.mu.Lock()
	if x.left {
		m.mu.Unlock()
		return
	}
	// Read under the lock: who takes back says so first, and then looks at what is open.
	if taken := m.taken.Load(); taken != 0 && now.Sub(time.Unix(0, taken)) < time.Minute {
		x.due = now
	}
	heap.Push(&m.open, x)
	m.mu.Unlock()
	telemetry.Metrics.StreamOpen(names[x.kind], 1)
	if m.Watch == nil || !x.found.Swapped {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.gone {
		x.watched = true
		m.Watch(x.found.Grant.Key(), x)
	}
}

func (m *Room) remove(x *exchange) {
	x.mu.Lock()
	x.gone = true
	watched := x.watched
	if x.cancel != nil {
		x.cancel()
	}
	x.mu.Unlock()
	if watched {
		m.Unwatch(x.found.Grant.Key(), x)
	}
	m.mu.Lock()
	x.left = true
	taken := x.index >= 0 && x.index < len(m.open) && m.open[x.index] == x
	if taken {
		heap.Remove(&m.open, x.index)
	}
	m.mu.Unlock()
	if taken {
		telemetry.Metrics.StreamOpen(names[x.kind], -1)
	}
}

// never is when an exchange is due that is being looked at.
var never = time.Unix(1<<40, 0)

// due says that x is looked at now; false: it is already, and will be once more.
// It is called with the lock held.
func (m *Room) due(x *exchange) bool {
	if x.busy {
		x.again = true
		return false
	}
	x.busy, x.due = true, never
	heap.Fix(&m.open, x.index)
	return true
}

// hand gives an exchange to those who look at it.
func (m *Room) hand(x *exchange) {
	if x.found.Swapped || token.IsOpaque(x.found.Token) {
		m.slow.add(x.look)
	} else {
		m.quick.add(x.look)
	}
}

// look judges what let x in, or cuts off what was asked to end.
func (x *exchange) look() {
	m := x.room
	if x.over.Load() {
		x.cut()
		m.later(x, m.Now().Add(cutAfter)) // somebody may have put the deadline off
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), judgeWithin)
	defer cancel()
	judged, err := m.Judge(ctx, x.found, x.needs, x.began)
	now := m.Now()
	inDoubt := x.isInDoubt(err, now)
	rejection, refused := errors.AsType[*verdict.Rejection](err)
	switch {
	case err == nil:
		x.doubted = time.Time{} // a failure ends no doubt
		x.renewed(judged)
		m.later(x, m.next(x, judged.Until, now))
	case !refused, inDoubt:
		m.later(x, now.Add(judgeAgain))
	case rejection.Reason == string(token.Expired) && m.keep:
		m.later(x, now.Add(judgeEach))
	case rejection.Reason == string(token.Expired) && x.kind == plain && now.Before(x.began.Add(finishWithin)):
		m.later(x, x.began.Add(finishWithin))
	default:
		x.end(rejection.Reason, rejection)
	}
}

// isInDoubt reports whether the grant has a token that counts no more, but has just
// come: an issuer that takes back the token and not the grant gives another one, and
// it is too early to ask.
func (x *exchange) isInDoubt(err error, now time.Time) bool {
	if !errors.Is(err, session.ErrYoung) {
		return false
	}
	if x.doubted.IsZero() {
		x.doubted = now
	}
	return now.Sub(x.doubted) < doubtWithin
}

// next is when an exchange is looked at next whose token counts until a time.
func (m *Room) next(x *exchange, until, now time.Time) time.Time {
	if x.kind == plain && until.Before(x.began.Add(finishWithin)) {
		until = x.began.Add(finishWithin)
	}
	each := now.Add(judgeEach)
	if x.found.Swapped { // whose end is told
		each = now.Add(m.UseEach)
	}
	if each.Before(until) {
		return each
	}
	return until
}

func (m *Room) later(x *exchange, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if x.left {
		return
	}
	x.busy = false
	if x.again {
		x.again, at = false, time.Time{}
	}
	x.due = at
	heap.Fix(&m.open, x.index)
}

// queue is a heap of exchanges, the one that is due next first.
type queue []*exchange

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is of heap.Interface.
func (q *queue) Push(x any) {
	one := x.(*exchange)
	one.index = len(*q)
	*q = append(*q, one)
}

// Pop is of heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return x
}
