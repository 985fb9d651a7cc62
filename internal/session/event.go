package session

import "time"

// Event is something worth a metric or a log line. Nothing in it is secret.
type Event struct {
	Name   string // one of the Event constants
	Sref   string // the record, for the log; not with EventWait, of which there are many
	Issuer string
	Detail string        // outcome of a renewal, reason of an end, result of a wait
	Kind   Kind          // of a renewal
	Took   time.Duration // of the call to the AS, or of the wait
	Err    error         // for the log; never shown to a client
}

// Presented reports whether a renewal's call put an RT before the AS, as far as
// this node can know: a lost call counts.
func (e *Event) Presented() bool {
	return e.Name == EventRenewal && e.Kind == ByRefreshToken && e.Detail != NotSent{}.name()
}

// What an Event is about.
const (
	EventRenewal   = "renewal"    // the AS was asked: Detail is the outcome's name
	EventWait      = "wait"       // a request has waited for a renewal: Detail is one of the Wait constants
	EventEnd       = "end"        // a grant ended: Detail is the reason
	EventReuse     = "reuse"      // there is a copy of a reference refresh token: its grant is ended
	EventSaveError = "save_error" // an intent or an outcome could not be written; of an outcome, the write goes on
	EventFull      = "full"       // a grant was not begun: Detail says whose are too many, client or subject
	EventDiscard   = "discard"    // a pair came too late and another outcome stands
)

// What a wait came to.
const (
	WaitServed      = "served"
	WaitNoGrant     = "no_grant"
	WaitUnavailable = "unavailable" // too long, or for nothing
	WaitLeft        = "left"        // the request ended first
)

func (c *config) observe(e Event) {
	if c.o.Observe != nil {
		c.o.Observe(e)
	}
}

// ended reports an end that this node has written.
func (c *config) ended(row *Row) {
	c.liveCount.gone(row.Holder)
	c.holders.gone(row.Holder)
	c.tellEnd(row)
}

func (c *config) tellEnd(row *Row) {
	c.observe(Event{Name: EventEnd, Sref: c.ring.Sref(row.Key), Detail: row.Reason})
}
