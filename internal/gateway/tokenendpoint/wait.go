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
	MostWaiting = 1000 // for one server: one whose tokens cannot be judged takes no place of another's
	waitingLife = 2 * time.Minute
)

// WaitingRoom is one for the process: a reload turns no client out.
type WaitingRoom struct {
	mu  sync.Mutex
	All map[token.Digest]*WaitingGrant
}

type WaitingGrant struct {
	server string
	tokens *as.Tokens // nil: they are being judged at the moment
	asked  time.Time
	end    *time.Timer
}

var waiting = WaitingRoom{All: map[token.Digest]*WaitingGrant{}}

// codeKey names a request for what a code stands for, at one server and as one
// client there. Another site may name the same issuer and mean another server: it
// must not get what was granted here, nor have its own taken for that.
func (c *tokenCall) codeKey(form url.Values) token.Digest {
	t := c.trust()
	return sha256.Sum256([]byte(url.Values{
		"server": {t.Reach}, "gateway": {t.Client.ID}, "client": {c.ClientID}, "form": {form.Encode()},
	}.Encode()))
}

// Take hands out what waits, once. known: there is something, also while another
// request has it.
func (w *WaitingRoom) Take(key token.Digest) (tokens *as.Tokens, asked time.Time, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.All[key]
	if one == nil {
		return nil, time.Time{}, false
	}
	tokens, one.tokens = one.tokens, nil
	return tokens, one.asked, true
}

// Put lets tokens wait, or wait again. Those that are not asked for in time are
// handed to expired.
func (w *WaitingRoom) Put(key token.Digest, server string, tokens *as.Tokens, asked time.Time, expired func(*as.Tokens)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.All[key]; one != nil {
		one.tokens = tokens
		return
	}
	if w.granted(server) >= MostWaiting {
		go expired(tokens)
		return
	}
	one := &WaitingGrant{server: server, tokens: tokens, asked: asked}
	one.end = time.AfterFunc(waitingLife, func() {
		if tokens, _, _ := w.Take(key); tokens != nil {
			expired(tokens)
		}
		w.Drop(key)
	})
	w.All[key] = one
}

// granted counts what a server has granted.
func (w *WaitingRoom) granted(server string) (n int) {
	for _, one := range w.All {
		if one.server == server {
			n++
		}
	}
	return n
}

// Drop ends the waiting of what has been handed out, or refused.
func (w *WaitingRoom) Drop(key token.Digest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.All[key]; one != nil {
		one.end.Stop()
		delete(w.All, key)
	}
}
