package signals

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// access is what the transmitter is shown: a token of the configuration, or one that
// the issuer's client has got for itself.
type access struct {
	fixed  secret.Text
	client *as.Client
	scope  []string
	grant  func(ctx context.Context, client as.Client, form map[string][]string) (*as.Tokens, error)

	mu    sync.Mutex
	token secret.Text
	until time.Time
}

// Of an access token: how long one lives whose issuer does not say, and how long
// before its end another is asked for.
const (
	accessLife  = time.Minute
	accessAhead = 5 * time.Second
)

var errNoAccess = errors.New("there is nothing to show the transmitter: write \"token <secret>\" in signals, or \"client <id> <secret>\" in the issuer block")

// can reports whether there is anything to show.
func (a *access) can() bool { return !a.fixed.Empty() || a.client != nil }

// get is a token that counts now.
func (a *access) get(ctx context.Context, now time.Time) (secret.Text, error) {
	switch {
	case !a.fixed.Empty():
		return a.fixed, nil
	case a.client == nil || a.grant == nil:
		return secret.Text{}, errNoAccess
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.token.Empty() && now.Before(a.until) {
		return a.token, nil
	}
	form := map[string][]string{"grant_type": {"client_credentials"}}
	if len(a.scope) > 0 {
		form["scope"] = []string{strings.Join(a.scope, " ")}
	}
	tokens, err := a.grant(ctx, *a.client, form)
	if err != nil {
		return secret.Text{}, err
	}
	life := accessLife
	if tokens.ExpiresIn != nil {
		life = *tokens.ExpiresIn
	}
	a.token, a.until = tokens.AccessToken, now.Add(max(life-accessAhead, 0))
	return a.token, nil
}

// drop forgets a token that was not taken.
func (a *access) drop(token secret.Text) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.token.Reveal() == token.Reveal() {
		a.token = secret.Text{}
	}
}

// ask asks the transmitter once, and once more with another access token where it
// did not take the first.
func (r *Receiver) ask(ctx context.Context, call as.SignalsCall) ([]byte, error) {
	for again := false; ; again = true {
		token, err := r.access.get(ctx, r.now())
		if err != nil {
			return nil, err
		}
		call.Access = token
		body, err := r.server.Signals(ctx, call)
		failed, answered := errors.AsType[*as.CallError](err)
		if !answered || failed.Status != http.StatusUnauthorized || again || !r.access.fixed.Empty() {
			return body, err
		}
		r.access.drop(token)
	}
}

// wait is how long an error asks to be left alone, or 0.
func waitOf(err error) time.Duration {
	if failed, ok := errors.AsType[*as.CallError](err); ok {
		return failed.RetryAfter
	}
	return 0
}
