package caddyoauth

import (
	"crypto/sha256"
	"net/url"
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// What a code was used up for while nobody could judge it, for the client that
// comes again with the same code. To ask the issuer a second time would end the
// grant at a strict one (RFC 6749 §4.1.2). It waits in this process's memory, for
// a short time, and for nobody but who has the code, and with it the verifier.
const (
	mostWaiting = 1000 // for one server: one that nobody can judge takes no place of another's
	waitingLife = 2 * time.Minute
)

// waitingRoom is one for the process: a reload turns nobody out.
type waitingRoom struct {
	mu  sync.Mutex
	all map[token.Digest]*waitingGrant
}

type waitingGrant struct {
	server string
	tokens *as.Tokens // nil: somebody judges them at the moment
	asked  time.Time
	end    *time.Timer
}

var waiting = waitingRoom{all: map[token.Digest]*waitingGrant{}}

// codeKey names a request for what a code stands for, at one server and as one
// client there. Another site may name the same issuer and mean another server: it
// must not get what was granted here, nor have its own taken for that.
func (c *tokenCall) codeKey(form url.Values) token.Digest {
	t := c.trust()
	return sha256.Sum256([]byte(url.Values{
		"server": {t.reach}, "gateway": {t.client.ID}, "client": {c.ClientID}, "form": {form.Encode()},
	}.Encode()))
}

// take hands out what waits, once. known tells that there is something, also if
// somebody else has it at the moment.
func (w *waitingRoom) take(key token.Digest) (tokens *as.Tokens, asked time.Time, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.all[key]
	if one == nil {
		return nil, time.Time{}, false
	}
	tokens, one.tokens = one.tokens, nil
	return tokens, one.asked, true
}

// put lets tokens wait, or wait again. Of those that nobody has asked for in
// time, late is told.
func (w *waitingRoom) put(key token.Digest, server string, tokens *as.Tokens, asked time.Time, late func(*as.Tokens)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.all[key]; one != nil {
		one.tokens = tokens
		return
	}
	if w.waitFor(server) >= mostWaiting {
		go late(tokens)
		return
	}
	one := &waitingGrant{server: server, tokens: tokens, asked: asked}
	one.end = time.AfterFunc(waitingLife, func() {
		if tokens, _, _ := w.take(key); tokens != nil {
			late(tokens)
		}
		w.drop(key)
	})
	w.all[key] = one
}

// waitFor counts what a server has granted.
func (w *waitingRoom) waitFor(server string) (n int) {
	for _, one := range w.all {
		if one.server == server {
			n++
		}
	}
	return n
}

// drop ends the waiting of what has been handed out, or refused.
func (w *waitingRoom) drop(key token.Digest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.all[key]; one != nil {
		one.end.Stop()
		delete(w.all, key)
	}
}
