package signals

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// The bounds of polling.
const (
	mostEvents  = 20               // in one answer: each may be as long as a token
	pollHeld    = 45 * time.Second // how long the transmitter may hold an answer back
	pollPause   = 500 * time.Millisecond
	pollBackOff = time.Minute // the longest pause after failures
	warnAgain   = time.Minute // how often an outage is told of
)

// polled is what is told of events in the next request (RFC 8936 §2.2).
type polled struct {
	ack  []string
	errs map[string]problem
}

// poll fetches events until the receiver ends: each answer as soon as there is one.
// A transmitter that does not hold back its answers is asked again after a pause.
func (r *Receiver) poll() {
	var told polled
	var endpoint string
	var failures int
	var warned time.Time
	for r.ctx.Err() == nil {
		began := r.now()
		more, err := r.pollOnce(&endpoint, &told)
		switch {
		case err == nil:
			r.fault.Store(nil)
			failures = 0
			if !more {
				r.sleep(pollPause - r.now().Sub(began))
			}
		case r.ctx.Err() != nil:
		default:
			r.fault.Store(&err)
			endpoint = "" // the stream may have another by now
			failures++
			if r.now().Sub(warned) >= warnAgain {
				warned = r.now()
				r.log().Warn("fetching events from the transmitter failed; it is asked again", zap.Error(err), zap.String("do", cureOf(err)))
			}
			pause := min(time.Second<<min(failures-1, 10), pollBackOff)
			r.sleep(max(time.Duration(float64(pause)*(0.75+rand.Float64()/2)), min(waitOf(err), pollBackOff))) //nolint:gosec // it spreads load
		}
	}
}

// sleep waits, unless the receiver ends.
func (r *Receiver) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ctx.Done():
	}
}

// pollOnce asks for events, and does what they say. more reports whether there are
// others at once.
func (r *Receiver) pollOnce(endpoint *string, told *polled) (more bool, err error) {
	named := r.set.PollEndpoint != ""
	if named {
		*endpoint = r.set.PollEndpoint
	}
	if *endpoint == "" {
		ctx, cancel := context.WithTimeout(r.ctx, askWithin)
		defer cancel()
		stream, err := r.stream(ctx)
		if err != nil {
			return false, err
		}
		if *endpoint = stream.Endpoint; *endpoint == "" {
			return false, errors.New("the stream has no endpoint_url to be polled at: make it anew, \"caddy oauth signals delete\" and \"create\"")
		}
	}
	sets, more, err := r.fetch(*endpoint, named, told)
	if err != nil {
		return false, err
	}
	if !r.verifies() {
		r.heard.Store(r.now().UnixNano()) // nothing else will tell
	}
	var next polled
	for id, raw := range sets {
		err := r.Take(r.ctx, raw)
		said, verdict := problemOf(err)
		switch {
		case err == nil:
			next.ack = append(next.ack, id)
		case verdict:
			if next.errs == nil {
				next.errs = map[string]problem{}
			}
			next.errs[id] = said
			r.log().Warn("refused an event that was fetched", zap.String("err", said.Code), zap.Error(err))
		default: // it stays at the transmitter
			more = false
			r.log().Warn("an event that was fetched could not be judged, or done; it is fetched again", zap.Error(err))
		}
	}
	slices.Sort(next.ack)
	*told = next
	// What is to be told is told at once.
	return more || len(next.ack)+len(next.errs) > 0, nil
}

// fetch asks for events, and acknowledges those before (RFC 8936 §2.4).
func (r *Receiver) fetch(endpoint string, named bool, told *polled) (sets map[string]string, more bool, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, pollHeld+askWithin)
	defer cancel()
	// What is to be told is not to wait for an event.
	body := map[string]any{"maxEvents": mostEvents, "returnImmediately": len(told.ack)+len(told.errs) > 0}
	if len(told.ack) > 0 {
		body["ack"] = told.ack
	}
	if len(told.errs) > 0 {
		body["setErrs"] = told.errs
	}
	answer, err := r.ask(ctx, as.SignalsCall{Method: http.MethodPost, Address: endpoint, Named: named, Body: body})
	if errors.Is(err, context.DeadlineExceeded) && r.ctx.Err() == nil {
		return nil, true, nil // it holds back for longer, and there was no event
	}
	if err != nil {
		return nil, false, fmt.Errorf("polling: %w", err)
	}
	return readSets(string(answer))
}

// readSets reads RFC 8936 §2.3.
func readSets(doc string) (sets map[string]string, more bool, err error) {
	if doc == "" { // 204, as some answer for no events
		return nil, false, nil
	}
	members, err := token.ParseObject(doc)
	if err != nil {
		return nil, false, fmt.Errorf("reading the answer to a poll: %w", err)
	}
	all, object := members["sets"].(map[string]any)
	if !object && members["sets"] != nil {
		return nil, false, errors.New("reading the answer to a poll: sets is not an object")
	}
	sets = map[string]string{}
	for id, value := range all {
		raw, is := value.(string)
		if !is || len(id) > 1024 {
			return nil, false, errors.New("reading the answer to a poll: a set is not a string")
		}
		sets[id] = raw
	}
	more, _ = members["moreAvailable"].(bool)
	return sets, more && len(sets) > 0, nil
}

// cureOf is what an operator does about a transmitter that does not answer as it
// should.
func cureOf(err error) string {
	if errors.Is(err, errNoStream) {
		return "make one: caddy oauth signals create"
	}
	failed, ok := errors.AsType[*as.CallError](err)
	if !ok {
		return "look at the transmitter's address, and whether it answers"
	}
	switch failed.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "look at token, or at client and scope: the transmitter does not take what it is shown (Keycloak wants scope ssf.manage ssf.read, as optional client scopes of a client with ssf.enabled)"
	case http.StatusNotFound:
		return "look whether the stream is still there: caddy oauth signals"
	}
	return "look at the transmitter's log"
}
