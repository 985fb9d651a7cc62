package revocation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Memory is what the nodes of a store know of assertions.
type Memory interface {
	// Once reports whether these parts are new, and remembers them until then.
	Once(ctx context.Context, until time.Time, parts ...string) (first bool, err error)
	// Forget undoes Once.
	Forget(ctx context.Context, parts ...string) error
}

const memoryOfCalls = "global token revocation"

// asserted is who shows an assertion: an issuer.
func (e *Endpoint) asserted(ctx context.Context, u *token.Unverified) (who caller, err error) {
	issuer := u.Claims.Issuer()
	profile := e.Assertion(issuer)
	if profile == nil {
		return who, &refusal{http.StatusUnauthorized, "no issuer of that name is known"}
	}
	profile.Audience = e.Block.JWTAudience
	jti, until, err := profile.Verify(ctx, u, e.Now())
	if refused := token.ReasonOf(err); refused != "" {
		return who, &refusal{http.StatusUnauthorized, "the JWT does not pass: " + string(refused)}
	}
	return caller{e.Named(issuer), jti, until}, err
}

// once has an assertion count once: it does not say whom it is about, and who has seen
// it could log out others with it.
func (e *Endpoint) once(ctx context.Context, who caller) error {
	if who.jti == "" {
		return nil
	}
	first, err := e.memory().Once(ctx, who.until, memoryOfCalls, who.issuer, who.jti)
	if err == nil && !first {
		err = &refusal{http.StatusUnauthorized, "the JWT does not pass: its jti was seen before"}
	}
	return err
}

// again lets it come again: what it was to do was not done.
func (e *Endpoint) again(ctx context.Context, who caller) {
	if who.jti == "" {
		return
	}
	if err := e.memory().Forget(ctx, memoryOfCalls, who.issuer, who.jti); err != nil {
		e.Log.Warn("a JWT of a global token revocation that was not done counts no more; its sender has to make another one", zap.Error(err))
	}
}

func (e *Endpoint) memory() Memory {
	if e.Memory != nil {
		return e.Memory
	}
	return &here
}

// mostCalls bounds what a process remembers alone.
const mostCalls = 10_000

// here is the memory of this process. It outlives a reload.
var here calls

type calls struct {
	mu   sync.Mutex
	seen map[string]time.Time // until when
}

var errManyCalls = errors.New("too many JWTs of global token revocations came at once")

func (c *calls) Once(_ context.Context, until time.Time, parts ...string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := fmt.Sprintf("%q", parts)
	if _, has := c.seen[key]; has {
		return false, nil
	}
	if len(c.seen) >= mostCalls {
		now := time.Now()
		for name, end := range c.seen {
			if now.After(end) {
				delete(c.seen, name)
			}
		}
	}
	switch {
	case len(c.seen) >= mostCalls:
		return false, errManyCalls
	case c.seen == nil:
		c.seen = map[string]time.Time{}
	}
	c.seen[key] = until
	return true, nil
}

func (c *calls) Forget(_ context.Context, parts ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, fmt.Sprintf("%q", parts))
	return nil
}
