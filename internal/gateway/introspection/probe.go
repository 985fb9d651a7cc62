package introspection

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// Strangers choose what is asked about. An issuer that stumbles over some tokens
// (a 500 of its own, a filter before it that answers 403, a query that never
// ends) would be left alone for all tokens if those counted. So before an
// endpoint is, it is asked about a token that no caller chose. If it can say of
// that one that it does not know it, then it works.
type probe struct {
	mu    sync.Mutex // held while asking: those that fail together share one probe
	at    time.Time
	works bool
}

const (
	probeWithin = 2 * time.Second // an endpoint that takes longer is as good as down
	probeCounts = time.Second     // what a probe has found, before the next one
)

// endpointFailed reports whether a failed call speaks against the endpoint, and not only
// against the token that it was about. It asks only where something hangs on it.
func (q *Introspector) endpointFailed(err error, now time.Time) bool {
	switch {
	case err == nil || as.Blameless(err):
		return false
	case asksTooOften(err), retryAfterOf(err) == 0 && !q.breaker.Opens(breakerLimits):
		return true // to ask more would be what it complains of; or it only adds up
	}
	return !q.works(now)
}

func asksTooOften(err error) bool {
	failed, ok := errors.AsType[*as.CallError](err)
	return ok && failed.Status == http.StatusTooManyRequests
}

// works asks the endpoint about a token that was made up.
func (q *Introspector) works(now time.Time) bool {
	q.probe.mu.Lock()
	defer q.probe.mu.Unlock()
	if since := now.Sub(q.probe.at); since >= 0 && since < probeCounts {
		return q.probe.works
	}
	ctx, cancel := context.WithTimeout(q.ctx, probeWithin)
	defer cancel()
	_, _, err := q.server.Introspect(ctx, q.at, secret.New(rand.Text()))
	q.probe.at, q.probe.works = now, err == nil || as.Blameless(err)
	return q.probe.works
}
