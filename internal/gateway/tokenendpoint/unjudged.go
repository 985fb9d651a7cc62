package tokenendpoint

import (
	"crypto/sha256"
	"net/url"
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// What a code was used up for when it could not be judged, for the client that
// comes again with the same code. To ask the issuer a second time would end the
// grant at a strict one (RFC 6749 §4.1.2). It waits in this process's memory, for
// a short time, and only for a client that has the code, and with it the verifier.
const (
	mostWaiting = 1000 // for one server: one whose tokens cannot be judged takes no place of another's
	waitingLife = 2 * time.Minute
)

// waitingRoom is one for the process: a reload turns no client out.
type waitingRoom struct {
	mu  sync.Mutex
	all map[token.Digest]*waitingGrant
}

type waitingGrant struct {
	server string
	tokens *as.Tokens // nil: they are being judged at the moment
	asked  time.Time
	end    *time.Timer
}

var waiting = waitingRoom{all: map[token.Digest]*waitingGrant{}}

// codeKey names a request for what a code stands for, at one server and as one
// client there. Another site may name the same issuer and mean another server: it
// must not get what was granted here, nor have its own taken for that.
func (c *call) codeKey(form url.Values) token.Digest {
	t := c.trust()
	return sha256.Sum256([]byte(url.Values{
		"server": {t.Reach}, "gateway": {t.Client.ID}, "client": {c.ClientID}, "form": {form.Encode()},
	}.Encode()))
}

// take hands out what waits, once. known: there is something, also while another
// request has it.
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

// put lets tokens wait, or wait again. Those that are not asked for in time are
// handed to expired.
func (w *waitingRoom) put(key token.Digest, server string, tokens *as.Tokens, asked time.Time, expired func(*as.Tokens)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.all[key]; one != nil {
		one.tokens = tokens
		return
	}
	if w.granted(server) >= mostWaiting {
		go expired(tokens)
		return
	}
	one := &waitingGrant{server: server, tokens: tokens, asked: asked}
	one.end = time.AfterFunc(waitingLife, func() {
		if tokens, _, _ := w.take(key); tokens != nil {
			expired(tokens)
		}
		w.drop(key)
	})
	w.all[key] = one
}

// granted counts what a server has granted.
func (w *waitingRoom) granted(server string) (n int) {
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
