package session

import (
	"slices"
	"strings"
	"time"
)

// Outcome is what became of one call to the AS: one of Granted, Untimely,
// NotSent, Unconsumed, BadClient, Refused and Unknown. When in doubt it is Unknown: a
// wrong NotSent or Unconsumed breaks I1.
type Outcome interface{ name() string }

// Granted is a complete answer with an AT.
type Granted struct {
	AccessToken Secret
	// Refresh is empty if the answer has no RT: the old one stays.
	Refresh Secret
	// ExpiresIn is what the AS said; nil if it said nothing, or no number.
	ExpiresIn *time.Duration
	// Ends is when the AT runs out by its own word, and Life how long it lives
	// by that. Zero: it does not say, or cannot be read.
	Ends time.Time
	Life time.Duration
	// Grace is for how much longer the judge of the AT here takes it.
	Grace time.Duration
	// Scope is nil if the answer has none: then it is what was asked for.
	Scope *string
	// Subject of the answer if it names one; another than the grant's ends it.
	Subject string
	// App replaces that of the grant, unless it is empty.
	App Secret
}

// Untimely is a complete answer with an AT that is good for nothing by time
// alone: it has run out on arrival, or does not count yet. Clocks differ, and
// no grant is to blame for that.
type Untimely struct {
	Answer Granted
	Err    error
}

// NotSent means that the request did not leave this node whole: DNS, dial, TLS.
type NotSent struct{ Err error }

// Unconsumed means that the AS answered, and did not look at the grant: 5xx, 429.
type Unconsumed struct {
	Err error
	// RetryAfter as the AS asked for it, or zero.
	RetryAfter time.Duration
	// Works: the AS refused this one grant for now, and serves others. It is
	// no reason to leave the AS alone.
	Works bool
	// TooMany: it wants fewer calls, and so no other one to see whether it works.
	TooMany bool
}

// BadClient is invalid_client, or unauthorized_client where no RT was presented.
// A grant that is renewed with its own credentials ends when the answer stands
// for a while; otherwise it is our misconfiguration and ends nothing.
type BadClient struct{ Err error }

// Refused is a definite no, such as invalid_grant. The grant is over.
type Refused struct{ Err error }

// Unknown means sent, and no definite answer.
type Unknown struct {
	Err error
	// Salvaged is the new RT, if the answer broke off behind it.
	Salvaged Secret
}

func (Granted) name() string    { return "granted" }
func (Untimely) name() string   { return "untimely" }
func (NotSent) name() string    { return "not_sent" }
func (Unconsumed) name() string { return "unconsumed" }
func (BadClient) name() string  { return "bad_client" }
func (Refused) name() string    { return "refused" }
func (Unknown) name() string    { return "unknown" }

func cause(out Outcome) error {
	switch out := out.(type) {
	case Untimely:
		return out.Err
	case NotSent:
		return out.Err
	case Unconsumed:
		return out.Err
	case BadClient:
		return out.Err
	case Refused:
		return out.Err
	case Unknown:
		return out.Err
	}
	return nil
}

// takenBack are the words of before that now lacks.
func takenBack(before, now string) string {
	have, missing := strings.Fields(now), []string{}
	for word := range strings.FieldsSeq(before) {
		if !slices.Contains(have, word) && !slices.Contains(missing, word) {
			missing = append(missing, word)
		}
	}
	return strings.Join(missing, " ")
}

// renewed is the grant after an answer.
func (o *Options) renewed(g Grant, answer Granted, asked time.Time) Grant {
	g.AccessToken = answer.AccessToken
	g.Lifetime, g.Expiry = o.life(&answer, asked)
	if !answer.Refresh.Empty() {
		g.Refresh = answer.Refresh
	}
	if answer.Scope != nil {
		g.Lost = takenBack(g.Lost+" "+g.Scope, *answer.Scope)
		g.Scope = *answer.Scope
	}
	if !answer.App.Empty() {
		g.App, g.Made = answer.App, nil
	}
	return g
}

// another reports whether an answer is for another user.
func (g *Grant) another(answer *Granted) bool {
	return answer.Subject != "" && g.Subject != "" && answer.Subject != g.Subject
}
