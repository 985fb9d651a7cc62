package verdict

import (
	"errors"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// Failure is why a request could not be judged: ours, or its issuer's. It says
// nothing of the request.
type Failure struct {
	Reason  string        // a stable code for logs, metrics and placeholders
	Issuer  string        // whose failure it is, where that is known
	Wait    time.Duration // when to come again; 0: that is not known
	Lasting bool          // it goes on until an operator does something
	Told    bool          // the log has had it not long ago
	Err     error
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Reason
	}
	return f.Err.Error()
}

func (f *Failure) Unwrap() error { return f.Err }

// FailureOf makes an error that is no [*Rejection] a failure. This is the one
// place that knows the failures of the packages below.
func FailureOf(err error) *Failure {
	f := &Failure{Reason: InternalFailure, Lasting: true, Err: err}
	if down, ok := errors.AsType[*as.Unavailable](err); ok {
		f.Reason, f.Issuer, f.Lasting = IssuerUnavailable, down.Issuer, false
	}
	if later, ok := errors.AsType[*session.Unavailable](err); ok {
		f.Reason, f.Wait, f.Lasting = GrantUnavailable, max(later.RetryAfter, time.Second), false
	}
	if known, ok := errors.AsType[*Failure](err); ok {
		f.Reason, f.Issuer, f.Lasting, f.Told = known.Reason, known.Issuer, known.Lasting, known.Told
		if known.Wait > 0 {
			f.Wait = known.Wait
		}
	}
	return f
}
