// Package userinfo asks an issuer about the user behind an access token of the
// gateway's own log-ins (OpenID Connect Core §5.3), once for each such token, and
// remembers what it said for as long as the token is likely to be used.
package userinfo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/breaker"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/pool"
	"github.com/caddyoauth/caddyoauth/internal/gateway/user"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// askers has one for each issuer and client.
var askers = pool.New[*Asker]()

const (
	callWithin  = 5 * time.Second  // one call, from looking for the endpoint to the answer's last byte
	callsWithin = 12 * time.Second // all calls about one user, where there is no OpenID Connect
	knownFor    = time.Hour        // an answer counts, unless another access token comes earlier
	refusedFor  = 10 * time.Second // the endpoint's no to an access token
	mostWeight  = 64 << 20         // of answers that are remembered, about, in bytes
	answerExtra = 512              // of what is remembered beside an answer, in bytes
)

// breakerLimits is when an endpoint is left alone that fails, and for how long.
var breakerLimits = breaker.Limits{After: 5, Least: time.Second, Most: 30 * time.Second, Within: callsWithin}

// Asker asks one issuer as one client. It is shared by sites and outlives a
// reload, so that a reload causes no calls.
type Asker struct {
	breaker breaker.Breaker
	known   *otter.Cache[token.Digest, *answer]
	ctx     context.Context
	stop    context.CancelFunc

	mu    sync.Mutex
	calls map[token.Digest]*call // one for each token that is asked about now
}

// answer is what an issuer said. It does not change.
type answer struct {
	claims  token.Claims
	subject string // whom they are about
	grant   string // of the log-in that this was compared for
	size    int
	refused error // instead: it does not take the access token, or says nothing of use
	until   time.Time
}

// call is one under way, and those who need its answer wait for it.
type call struct {
	done   chan struct{}
	answer *answer
	err    error
}

// Unfit is an answer, or a refusal, that asking again will not mend: what there is
// of the issuer's settings, or of the gateway's, has to change.
type Unfit struct{ Err error }

func (e *Unfit) Error() string { return e.Err.Error() }
func (e *Unfit) Unwrap() error { return e.Err }

// NotTaken is that the endpoint does not take the access token (401).
type NotTaken struct{ Err error }

func (e *NotTaken) Error() string { return e.Err.Error() }
func (e *NotTaken) Unwrap() error { return e.Err }

var errPaused = errors.New("the userinfo endpoint failed several times, and is left alone for a while")

// Acquire answers what asks the issuer of a trust, as its client, until release
// is called.
func Acquire(t *issuers.Trust) (a *Asker, release func()) {
	key := fmt.Sprintf("%s %q %v", t.Reach, t.Client.ID, t.Profile.Algorithms)
	return askers.Acquire(key, func() *Asker {
		a := &Asker{calls: map[token.Digest]*call{}}
		a.ctx, a.stop = context.WithCancel(context.Background())
		a.known = otter.Must(&otter.Options[token.Digest, *answer]{
			MaximumWeight:    mostWeight,
			Weigher:          func(_ token.Digest, one *answer) uint32 { return uint32(answerExtra + 2*one.size) }, //nolint:gosec // answers are bounded
			ExpiryCalculator: otter.ExpiryWriting[token.Digest, *answer](knownFor),
			Logger:           &otter.NoopLogger{}, // nothing it says could be acted on
		})
		return a
	})
}

// Destruct ends the calls under way. The pool calls it.
func (a *Asker) Destruct() error {
	a.stop()
	a.known.StopAllGoroutines()
	return nil
}

// Question is about the user behind an access token.
type Question struct {
	Trust   *issuers.Trust // who granted it
	Token   string
	Grant   string        // what is remembered of its grant, which says whom it is about
	Subject func() string // that: sub of the log-in's ID token; nil: whoever it is
	Scope   string        // that the log-in was granted
	Now     func() time.Time
}

// Ask answers what the issuer says of the user. An error is a [*verdict.Rejection]
// within a [*NotTaken], or a failure, and within it perhaps an [*Unfit].
func (a *Asker) Ask(ctx context.Context, q Question) (token.Claims, error) {
	key := token.DigestOf(q.Token)
	if said, hit := a.known.GetIfPresent(key); hit && q.Now().Before(said.until) {
		return said.about(&q)
	}
	c, err := a.join(key, q)
	if err != nil {
		return nil, err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return nil, q.failed(0, context.Cause(ctx))
	}
	if c.err != nil {
		return nil, c.err
	}
	return c.answer.about(&q)
}

// Who answers whom the issuer says that an access token speaks for, where no ID token
// says it. Errors are as with Ask.
func (a *Asker) Who(ctx context.Context, q Question) (subject string, err error) {
	q.Subject = nil
	if _, err := a.Ask(ctx, q); err != nil {
		return "", err
	}
	said, hit := a.known.GetIfPresent(token.DigestOf(q.Token))
	if !hit {
		return "", q.failed(0, errors.New("what was said of the user is not remembered"))
	}
	return said.subject, said.refused
}

// about are the claims, for the user whom the question is about. One about another
// user than the ID token's must not be used (OpenID Connect Core §5.3.2): the access
// token may have been put in the place of another's, which is known already.
func (a *answer) about(q *Question) (token.Claims, error) {
	// What a grant remembers is long, and read anew for each request otherwise.
	compared := a.grant != "" && a.grant == q.Grant
	if a.refused == nil && !compared && q.Subject != nil && a.subject != q.Subject() {
		return nil, q.failed(0, &Unfit{errOtherSubject})
	}
	return a.claims, a.refused
}

var errOtherSubject = errors.New("the userinfo endpoint speaks of another sub than the ID token, or of none (OpenID Connect Core §5.3.2)")

// join finds the call about a token that is under way, or begins one.
func (a *Asker) join(key token.Digest, q Question) (*call, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.calls[key]; c != nil {
		return c, nil
	}
	if wait := a.breaker.Wait(breakerLimits, q.Now()); wait > 0 {
		return nil, q.failed(wait, errPaused)
	}
	c := &call{done: make(chan struct{})}
	a.calls[key] = c
	go a.call(c, key, q)
	return c, nil
}

// call makes the call, in a context of its own: the first to ask may leave, and
// the others still get the answer.
func (a *Asker) call(c *call, key token.Digest, q Question) {
	within := callWithin
	if q.Trust.User != nil {
		within = callsWithin
	}
	ctx, cancel := context.WithTimeout(a.ctx, within)
	defer cancel()
	said, err := q.ask(ctx)
	now := q.Now()
	failed, called := errors.AsType[*as.CallError](err)
	if err == nil || called {
		wait := time.Duration(0)
		if called {
			wait = failed.RetryAfter
		}
		a.breaker.Report(breakerLimits, now, called && failed.Broken(), wait)
	}
	switch {
	case err == nil:
		c.answer, c.err = q.read(said, now)
	case isUnfit(err):
		c.err = q.failed(0, err)
	case called && failed.Status == http.StatusUnauthorized:
		c.err = &NotTaken{verdict.OfToken(&token.Refusal{Reason: token.Inactive, Detail: "the userinfo endpoint does not take the access token"}, q.Trust.Profile.Issuer)}
	case called && !failed.Broken(), errors.Is(err, as.ErrNoEndpoint):
		c.err = q.failed(0, &Unfit{err})
	case called:
		c.err = q.failed(min(failed.RetryAfter, breakerLimits.Most), err)
	default:
		c.err = q.failed(0, err)
	}
	a.keep(c, key, now)
}

// keep remembers what was said, before the call ends, so that there is no second
// one in between. Of failures those are remembered for a moment that another call
// would not mend.
func (a *Asker) keep(c *call, key token.Digest, now time.Time) {
	_, unfit := errors.AsType[*Unfit](c.err)
	if _, refused := errors.AsType[*verdict.Rejection](c.err); unfit || refused {
		c.answer = &answer{refused: c.err, until: now.Add(refusedFor)}
	}
	a.mu.Lock()
	if c.answer != nil {
		a.known.Set(key, c.answer)
	}
	delete(a.calls, key)
	a.mu.Unlock()
	close(c.done)
}

// heard is what an issuer said, before anything is made of it.
type heard struct {
	claims token.Claims
	size   int
}

// ask asks the issuer: at its userinfo endpoint, or as the operator says where there
// is no OpenID Connect.
func (q *Question) ask(ctx context.Context) (heard, error) {
	if u := q.Trust.User; u != nil {
		claims, size, err := u.Ask(ctx, func(ctx context.Context, address string) (body, next string, err error) {
			return q.Trust.Server.UserAt(ctx, secret.New(q.Token), address)
		}, q.Scope)
		if unusable, ok := errors.AsType[*user.Unusable](err); ok {
			return heard{}, &Unfit{unusable}
		}
		return heard{claims, size}, err
	}
	body, err := q.Trust.Server.UserInfo(ctx, secret.New(q.Token))
	if err != nil {
		return heard{}, err
	}
	claims, err := q.Trust.ReadUserInfo(ctx, body)
	if refusal, ok := errors.AsType[*token.Refusal](err); ok {
		return heard{}, &Unfit{fmt.Errorf("the answer of the userinfo endpoint does not pass: %w", refusal)}
	}
	return heard{claims, len(body)}, err
}

func isUnfit(err error) bool { _, unfit := errors.AsType[*Unfit](err); return unfit }

// read takes an answer apart. One about another user than was asked about is
// remembered for a moment, as a refusal is.
func (q *Question) read(from heard, now time.Time) (*answer, error) {
	sub, _ := from.claims["sub"].(string)
	if sub == "" {
		return nil, q.failed(0, &Unfit{errOtherSubject})
	}
	said := &answer{claims: from.claims.OfProfile(), subject: strings.Clone(sub), size: from.size, until: now.Add(refusedFor)}
	if q.Subject == nil {
		said.until = now.Add(knownFor)
	} else if sub == q.Subject() {
		said.grant, said.until = q.Grant, now.Add(knownFor)
		said.size += len(q.Grant) / 2 // it is kept as it is, and once
	}
	return said, nil
}

// failed is why it is not known who the user is, and when to come again.
func (q *Question) failed(wait time.Duration, err error) error {
	_, lasting := errors.AsType[*Unfit](err)
	return &verdict.Failure{Reason: verdict.UserInfoUnavailable, Issuer: q.Trust.Profile.Issuer, Wait: wait, Lasting: lasting, Err: err}
}
