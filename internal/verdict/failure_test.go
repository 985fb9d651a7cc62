package verdict

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

func TestAFailureIsKnownByWhatItCameOf(t *testing.T) {
	bare := errors.New("x")
	for _, row := range []struct {
		err     error
		reason  string
		issuer  string
		wait    time.Duration
		lasting bool
	}{
		{bare, InternalFailure, "", 0, true},
		{&as.Unavailable{Issuer: "i", Err: bare}, IssuerUnavailable, "i", 0, false},
		{&session.Unavailable{RetryAfter: 7 * time.Second, Err: bare}, GrantUnavailable, "", 7 * time.Second, false},
		{&session.Unavailable{Err: bare}, GrantUnavailable, "", time.Second, false},
		{&session.Unavailable{RetryAfter: 7 * time.Second, Err: &Failure{Reason: GrantUnavailable, Issuer: "i", Lasting: true}}, GrantUnavailable, "i", 7 * time.Second, true},
		{&Failure{Reason: IntrospectionLimited, Issuer: "i", Wait: time.Minute, Err: bare}, IntrospectionLimited, "i", time.Minute, false},
	} {
		f := FailureOf(fmt.Errorf("asking: %w", row.err))
		if f.Reason != row.reason || f.Issuer != row.issuer || f.Wait != row.wait || f.Lasting != row.lasting {
			t.Errorf("%v: %+v", row.err, f)
		}
		if f.Error() != "asking: "+row.err.Error() || !errors.Is(f, row.err) {
			t.Errorf("%v: its text is %q", row.err, f)
		}
	}
}
