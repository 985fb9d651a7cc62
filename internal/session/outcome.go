package session

import (
	"slices"
	"strings"
	"time"
)

// Outcome is what became of one call to the AS: one of Granted, NotSent,
// Unconsumed, BadClient, Refused and Unknown. When in doubt it is Unknown: a
// wrong NotSent or Unconsumed breaks I1.
type Outcome interface{ name() string }

// Granted is a complete answer with an AT.
type Granted struct {
	AccessToken Secret
	// Refresh is empty if the answer has no RT: the old one stays.
	Refresh Secret
	// ExpiresIn is what the AS said; nil if it said nothing, or no number.
	ExpiresIn *time.Duration
	// Scope is nil if the answer has none: then it is what was asked for.
	Scope *string
	// Subject of the answer if it names one; another than the grant's ends it.
	Subject string
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
func (NotSent) name() string    { return "not_sent" }
func (Unconsumed) name() string { return "unconsumed" }
func (BadClient) name() string  { return "bad_client" }
func (Refused) name() string    { return "refused" }
func (Unknown) name() string    { return "unknown" }

func cause(out Outcome) error {
	switch out := out.(type) {
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

// lifetime of an AT: the AS's word if it makes sense. An AT that lives zero
// seconds, or fewer, would be renewed on each request.
func (o *Options) lifetime(said *time.Duration) time.Duration {
	if said == nil || *said <= 0 {
		return o.DefaultLifetime
	}
	return *said
}

// expiry counts from before the AS was asked. A JWT's exp is in whole seconds
// cut off, so that an AT of some seconds is dead up to one second earlier than
// a plain sum would have it.
func expiry(asked time.Time, lifetime time.Duration) time.Time {
	if lifetime >= 4*time.Second {
		asked = asked.Truncate(time.Second)
	}
	return asked.Add(lifetime)
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
	g.Lifetime = o.lifetime(answer.ExpiresIn)
	g.Expiry = expiry(asked, g.Lifetime)
	if !answer.Refresh.Empty() {
		g.Refresh = answer.Refresh
	}
	if answer.Scope != nil {
		g.Lost = takenBack(g.Lost+" "+g.Scope, *answer.Scope)
		g.Scope = *answer.Scope
	}
	return g
}
