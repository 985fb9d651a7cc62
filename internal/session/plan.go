package session

import "time"

// phase is how much life an AT has left.
type phase uint8

const (
	fresh phase = iota // forward it
	due                // forward it, renew in the background
	stale              // renew it first
)

func (o *Options) phase(g *Grant, shift byte, now time.Time) phase {
	if !g.renewable() && g.Expiry.After(now) {
		return fresh // nothing will come after it
	}
	switch left := g.Expiry.Sub(now); {
	case left > o.ahead(g.Lifetime, shift):
		return fresh
	case left > o.minLife(g.Lifetime):
		return due
	}
	return stale
}

// move is what a flight may do next about a record that is not fresh.
type move uint8

const (
	present move = iota // write an intent and ask the AS
	await               // another flight or node is at it, and alive for all we know
	hold                // not yet: back-off, loop guard
	rest                // nothing may be presented while the AT lives
	finish              // nothing may be presented any more
)

// plan is the whole of I1. It answers the next move, how many presentations of
// this RT have an unknown outcome, and for hold how long.
func (o *Options) plan(row *Row, g *Grant, now, storeNow time.Time) (next move, doubts uint8, wait time.Duration) {
	if !g.renewable() {
		return finish, 0, 0
	}
	doubts, since := row.Doubts, row.DoubtSince
	if row.Intent.Open {
		if !storeNow.After(row.Intent.Lease) {
			return await, doubts, 0
		}
		// Its owner died or sleeps. It may have asked.
		doubts = oneMore(doubts)
		since = row.Intent.Since
	}
	if g.Kind == ByRunningAgain {
		doubts = 0
	}
	if doubts > 0 {
		inGrace := doubts == 1 && storeNow.Before(since.Add(o.ReuseGrace))
		switch {
		case inGrace:
		case g.Expiry.After(now):
			return rest, doubts, 0
		case o.OnUncertain == Reauth:
			return finish, doubts, 0
		}
		// Retry goes on, with pauses, until there is an answer. A server that
		// watches for reuse made up its mind at the second presentation: a
		// third makes nothing worse. And one that hung never saw any.
	}
	if wait = row.NotBefore.Sub(now); wait > 0 {
		return hold, doubts, wait
	}
	return present, doubts, 0
}

// oneMore counts presentations of unknown outcome, and stays countable.
func oneMore(doubts uint8) uint8 { return min(doubts, 254) + 1 }
