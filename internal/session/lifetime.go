package session

import "time"

// life tells how long an AT lives, and when it runs out: at the earlier of what
// the AS said and what the AT itself says. One that it calls alive and that has
// run out within is refused here, request after request, until it is renewed.
// An AT whose end is not known lives for DefaultLifetime; one that
// lives zero seconds, or fewer, would be renewed on each request.
func (o *Options) life(answer *Granted, asked time.Time) (life time.Duration, end time.Time) {
	left := answer.Ends.Sub(asked)
	switch said := answer.ExpiresIn; {
	case said != nil && *said > 0 && answer.Life > 0:
		life = min(*said, answer.Life)
	case said != nil && *said > 0:
		life = *said
	case answer.Life > 0:
		life = answer.Life
	case !answer.Ends.IsZero() && left > 0:
		life = left
	default:
		life = o.DefaultLifetime
	}
	end = expiry(asked, life)
	switch {
	case answer.Ends.IsZero() || !answer.Ends.Before(end):
		return life, end
	case left >= o.interval(life) || answer.Life == 0 && left > 0:
		return left, answer.Ends
	}
	// The clock of the AS is behind by almost all of the AT's life. It serves for
	// as long as it is taken: the AS is not to be asked all the time.
	return life, earlier(end, answer.Ends.Add(answer.Grace))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
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
